"""The drop folder and HL7: what lies there, has settled, or is sent; whether a PDF is one. Door to watchdog, pypdf, hl7."""
