"""ORU^R01 messages as a RIS writes them. Every patient is invented."""

import base64
import socket


def oru(
    *, exam_id: str = "E1", name: str = "张三", patient_id: str = "P0001", findings: str = "双肺清晰。",
    impression: str = "未见异常。", status: str = "F", approved: str = "20240506110000", study: str = "",
    accession: str = "A1", charset: str = "", pdf: bytes | None = None, more: str = "", control: str = "M1",
    birth: str = "19491231",
) -> str:  # fmt: skip
    """One message; `more` are further segments, each with its end; `study` a StudyInstanceUID."""
    rest = f"{accession}||||{approved}||CT|{status}|||||||R02&赵主任|R01&钱医生"
    rows = [
        f"MSH|^~\\&|RIS|HOSPITAL|NODE|CLOUD|20240506110001||ORU^R01^ORU_R01|{control}|P|2.5.1||||||{charset}",
        f"PID|1||{patient_id}^^^H^PI~11010519491231002X^^^PRC^NI||{name}||{birth}|F|||||13800000000",
        "PV1|1|O|||||||||||||||||V20240001",
        f"ORC|RE|H1|{exam_id}||CM||||20240506090000",
        f"OBR|1|H1|{exam_id}|CT001^胸部平扫|||20240506093000|||||||20240506091000||D01^王申请||{rest}",
        f"OBX|1|TX|影像所见^影像所见||{findings}||||||F|||20240506103000",
        f"OBX|2|TX|诊断意见^诊断意见||{impression}||||||F|||20240506103000",
    ]
    if study:
        rows.append(f"OBX|3|ST|113014^DICOM Study^DCM||{study}||||||F")
    if pdf is not None:
        rows.append(f"OBX|4|ED|PDF^Report||RIS^Application^PDF^Base64^{base64.b64encode(pdf).decode()}||||||F")
    return "".join(f"{row}\r" for row in rows) + more


class Sender:
    """A RIS that speaks MLLP to a port of this machine."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))

    def send(self, message: bytes) -> str:
        """Send a message and wait for its answer."""
        self.socket.sendall(b"\x0b" + message + b"\x1c\r")
        return self.answer()

    def answer(self) -> str:
        """The next answer; "" when the connection is at its end."""
        found = b""
        while not found.endswith(b"\x1c\r") and (byte := self.socket.recv(1)):
            found += byte
        return found.strip(b"\x0b\x1c\r").decode(errors="replace")
