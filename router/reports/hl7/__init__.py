"""HL7 v2 messages over MLLP: read, acknowledged, their report PDF taken out."""
