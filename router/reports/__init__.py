"""The drop folder and HL7: what lies there or is sent, whether a PDF is one. The door to watchdog, pypdf and hl7."""
