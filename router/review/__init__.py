"""Review: what people ask about exams and deliveries, and what they decide."""
