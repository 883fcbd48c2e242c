"""What a series description says of the slice thickness, in the ways in which makers and people write it. Pure."""

import re

# The number that Siemens puts before the kernel: "Thorax  1.0  B60f", "DE_Abdomen 1.0 Qr40", "SAFIRE 5.0 I30f".
_BEFORE_KERNEL = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d{1,3})?)\s+[A-Z][a-z]?\d\d[a-z]?(?![A-Za-z\d])")
# United Imaging and others: thickness x increment, "1.0 x 0.8_SD", "1_25x1_0mm", "5x5".
_BY_INCREMENT = re.compile(r"(?<![\d.])(\d{1,2}(?:[._]\d{1,3})?)\s?[xX*×]\s?\d{1,2}(?:[._]\d{1,3})?(?=$|[\s_,]|mm)")
# People: "1.25mm", "LUNG_1MM", "3_75MM" (an underscore for the point), 1毫米.
_WITH_UNIT = re.compile(r"(?<![\d.])(?<!\d_)(\d{1,2}(?:[._]\d{1,3})?)\s?(?:mm(?![A-Za-z])|毫米)", re.IGNORECASE)
# Toshiba and Canon: "Body 1.0 CE", ",CE,Vol,1.0,Vol.,,".
_TOSHIBA = re.compile(r"(?:^|[\s,])(\d{1,2}\.\d{1,3})(?=$|[\s,])")


def described_thickness(description: str, manufacturer: str) -> float | None:
    """Slice thickness in mm as the description names it; None when it names none, or a topogram's (`T20s`)."""
    forms = [_BEFORE_KERNEL, _BY_INCREMENT, _WITH_UNIT]
    if re.match(r"toshiba|canon", manufacturer, re.IGNORECASE):
        forms.append(_TOSHIBA)
    for form in forms:
        if found := form.search(description):
            value = float(found[1].replace("_", "."))
            return value if value > 0 else None
    return None
