"""What the console says, in English and Chinese. The English text, or a value of the node's own, is the key."""

from collections.abc import Callable, Mapping

from router.alarms import REMEDY, Alarm

LANGUAGES = {"en": "English", "zh": "中文"}

_CHINESE: Mapping[str, str] = {
    "Imaging cloud router": "影像云路由节点",
    "Overview": "概览",
    "Queue": "队列",
    "Log in": "登录",
    "Log out": "退出",
    "Your name": "姓名",
    "Token": "登录令牌",
    "The token is in this file of the node:": "登录令牌在节点的这个文件中：",
    "That token is wrong, or too many were.": "令牌错误，或尝试次数过多。",
    "Backlog": "积压",
    "Due next": "最先到期",
    "Backlog by age": "按已用时间的积压",
    "Alarms": "告警",
    "Alarm": "告警",
    "No alarm stands.": "没有告警。",
    "At risk": "有超时风险",
    "Missed": "已超时",
    "Open": "未完成",
    "Waits for a person": "等待人工处理",
    "Free space": "剩余空间",
    "Delivery": "任务",
    "ExamId": "检查记录ID",
    "Destination": "目的地",
    "Channel": "通道",
    "State": "状态",
    "Due": "截止时间",
    "Left": "剩余",
    "Sent": "已发送",
    "Tries": "尝试",
    "Waits for, or trouble": "等待或原因",
    "All": "全部",
    "Show": "查看",
    "Next": "下一页",
    "Previous": "上一页",
    "Page": "第几页",
    "Search": "查找",
    "Nothing here.": "没有内容。",
    "Exam": "检查",
    "number of this node": "本节点编号",
    "Studies": "检查影像",
    "Joined by": "关联依据",
    "Instances": "影像数",
    "none here yet": "尚未收到",
    "Series": "序列",
    "Class": "类别",
    "Rule": "规则",
    "Ledger": "发送台账",
    "Fate": "结果",
    "Status": "状态码",
    "Because": "依据",
    "Uploads": "报告上传",
    "Revision": "版本",
    "Receipt": "回执",
    "Event": "事件",
    "Events": "事件",
    "When": "时间",
    "What": "内容",
    "Who": "操作人",
    "Hold": "暂停",
    "Release": "放行",
    "Retry": "重试",
    "Why": "原因",
    "Log in to hold, release or retry, and to see patient data.": "登录后可暂停、放行、重试，并查看患者信息。",
    "Show patient data (this is recorded)": "显示患者信息（将记录审计）",
    "Accession number": "检查号",
    "Patient ID": "受检者ID",
    "Patient's name": "姓名",
    "Sex": "性别",
    "Birth date": "出生日期",
    "Who says it": "数据来源",
    "exam JSON": "检查JSON",
    "ExamId, accession number or study UID, or a part": "检查记录ID、检查号、检查影像唯一ID或其一部分",
    "h": "小时",
    "min": "分钟",
    "Done.": "已完成。",
    "late": "超时",
    "File": "文件",
    "That could not be done: it has moved on.": "未能执行：任务状态已改变。",
    "Came": "到达时间",
    "Files": "文件",
    "Images that came": "收到的影像",
    "From AE": "来源AE",
    "What nearly fits": "接近匹配",
    "Subject": "对象",
    "Since": "开始时间",
    "What to do": "处理方法",
    "Say why.": "请填写原因。",
    "the first 1000 only; choose a state or a destination": "仅显示前1000条；请选择状态或目的地",
    "report": "报告",
    "images": "影像",
    "waiting": "等待",
    "ready": "待发送",
    "sending": "发送中",
    "deferred": "暂缓",
    "delivered": "已送达",
    "failed": "失败",
    "held": "已暂停",
    "cancelled": "已取消",
    "out_of_scope": "不在范围",
    "excluded": "已排除",
    "not_shared": "不共享",
    "approval": "审核",
    "others": "其他检查的审核",
    "json": "检查JSON",
    "pdf": "报告PDF",
    "stable": "影像到齐",
    "commitment": "存储承诺",
    "thin": "薄层",
    "key": "关键影像",
    "scout": "定位像",
    "dose": "剂量报告",
    "image": "普通影像",
    "other": "其他",
    "selected": "待发送",
    "withheld": "待其他检查审核",
    "filtered": "不发送",
    "stored": "已接收，待承诺",
    "sent": "已发送",
    "refused": "被拒绝",
    "cut": "不完整，已搁置",
    "damaged": "文件已损坏",
    "Frozen": "生成时间",
    "Confirmed": "确认时间",
    "document": "文件",
    "stale": "旧版本",
    "received": "收到",
    "joined": "关联",
    "decided": "人工决定",
    "viewed": "查看",
    "doubt": "存疑",
    "irregular": "不规范",
    "moved": "状态改变",
    "confirmed": "已确认",
    "asked": "已询问",
    "purged": "已清理",
    "alarm": "告警",
    "cleared": "告警解除",
    "undue": "尚无截止时间",
    "first-half": "前一半时间",
    "second-half": "后一半时间",
    "last-fifth": "最后五分之一",
    "missed": "已超时",
    "missed-a-day": "超时一天以上",
    "Pause sending": "停止发送",
    "Resume sending": "恢复发送",
    "Sending to {place} is paused since {since} by {who}: {why}": "{who} 自 {since} 起停止了向{place}的发送：{why}",
    "all destinations": "所有目的地",
    "Who must act": "处理人",
    "the node itself": "节点自行处理",
    "the RIS": "RIS",
    "the PACS": "PACS",
    "the platform's operator": "平台运维人员",
    "an administrator": "管理员",
    "nobody": "无需处理",
    "is delivered": "已送达",
    "is not sent: a person has cancelled it": "不发送：已由人工取消",
    "is not sent: the exam has no modality of [share] modalities": "不发送：该检查没有 [share] modalities 中的设备类型",
    "is not sent: a rule of [[share.exclude]] excludes the exam": "不发送：该检查被 [[share.exclude]] 的规则排除",
    "is not sent: the exam was approved before [share] from": "不发送：该检查的审核时间早于 [share] from",
    "the configuration has no destination {destination} for it any more": "配置中已没有接收它的目的地 {destination}",
    "is held: {error}": "已暂停：{error}",
    "has failed: {error}": "失败：{error}",
    "no node runs: nothing is taken, evaluated or sent": "没有节点在运行：不接收、不处理、不发送",
    "its approval cannot be read: {error}": "无法读取审核状态：{error}",
    "waits for the approval (审核) of its report": "等待报告审核",
    "waits for a complete exam JSON": "等待完整的检查JSON",
    "its exam JSON has {count} fault(s), the first: {fault}": "检查JSON有 {count} 处错误，第一处：{fault}",
    "waits for the report PDF": "等待报告PDF",
    "waits for the approval of other exams of its studies": "等待同一影像的其他检查审核",
    "waits for images, and goes without them at {half}": "等待影像，到 {half} 仍无影像则直接发送",
    "waits for images of its studies": "等待影像",
    "waits for its study to be quiet": "等待影像到齐",
    "waits for its study to be quiet, until {until}": "等待影像到齐，到 {until}",
    "sending to {place} is paused by {who}: {why}": "{who} 停止了向 {place} 的发送：{why}",
    "{destination} does not answer: {why}; asked again {probe}": "{destination} 没有应答：{why}；下次探测 {probe}",
    "{destination} takes nothing until this is corrected: {why}; asked again {probe}": (
        "{destination} 在纠正前不接收数据：{why}；下次探测 {probe}"
    ),
    "was refused, and nothing proves that the platform has said so: {error}; tried again {at}": (
        "被拒绝，但无法证实该应答来自平台：{error}；下次重试 {at}"
    ),
    "the answer is not proved to be the platform's: {error}; tried again {at}": (
        "无法证实应答来自平台：{error}；下次重试 {at}"
    ),
    "{error}; tried again {at}": "{error}；下次重试 {at}",
    "is being sent": "正在发送",
    "is being sent, {sent} of {selected}": "正在发送，{selected} 个中已发 {sent} 个",
    "is being sent, {sent} of {selected}, at {rate} MiB/s at most until {until}": (
        "正在发送，{selected} 个中已发 {sent} 个；{until} 前限速 {rate} MiB/s"
    ),
    "its storage commitment is asked for soon": "即将请求存储承诺",
    "{destination} has not said that it keeps the images (storage commitment)": (
        "{destination} 尚未承诺保存影像（存储承诺）"
    ),
    "{destination} answers again, and takes one after the other at first": "{destination} 已恢复应答，先逐个发送",
    "is in the queue": "在队列中",
    "is number {place} of {queued} in the queue": "在队列中排第 {place} 位，共 {queued} 个",
    "is number {place} of {queued} in the queue, expected there by {expected}": (
        "在队列中排第 {place} 位，共 {queued} 个，预计 {expected} 送达"
    ),
    "is number {place} of {queued} in the queue, expected there by {expected}, too late": (
        "在队列中排第 {place} 位，共 {queued} 个，预计 {expected} 送达，将超时"
    ),
    "is number {place} of {queued} in the queue, which goes at {rate} MiB/s at most until {until}": (
        "在队列中排第 {place} 位，共 {queued} 个；{until} 前限速 {rate} MiB/s"
    ),
    "is evaluated in a moment": "即将处理",
}

_ENGLISH: Mapping[str, str] = {
    "undue": "no due time yet",
    "first-half": "first half of its time",
    "second-half": "second half",
    "last-fifth": "last fifth",
    "missed-a-day": "missed by a day or more",
    "pdf": "report PDF",
    "json": "exam JSON",
    "stable": "more images",
    "others": "approval of the study's other exams",
}

_ALARMS: Mapping[Alarm, tuple[str, str]] = {
    Alarm.HALF_TIME: ("时间过半", "时间已过一半仍有内容未到，见该检查的说明"),
    Alarm.AT_RISK: ("有超时风险", "见该检查在等待什么，并确认目的地是否接收数据"),
    Alarm.MISSED: ("已超时", "告知平台；发送会继续进行"),
    Alarm.BREAKER: ("目的地不可用", "运行 scripts/doctor，查看由谁处理：密钥或证书被拒需要人工处理；数据不会丢失"),
    Alarm.DISK: ("磁盘空间不足", "清理数据文件夹所在的卷，或缩短 [retention]；此前拒收影像"),
    Alarm.DROP_FOLDER: ("报告文件夹不可用", "确认共享已挂载，节点账户可读写"),
    Alarm.DROPPED_FILE: (
        "文件无法读取",
        "检查报告文件夹下文件和目录的权限；done/ 和 rejected/ 必须是真正的目录，不能是链接",
    ),
    Alarm.REJECTED_FILE: (
        "报告文件被拒收",
        "用 scripts/queue files 查看原因；请RIS更正后重新写入，或用 scripts/queue dismiss FILE --why ... 结束告警",
    ),
    Alarm.UNCLAIMED_PDF: (
        "报告PDF没有检查JSON",
        "用 scripts/queue files 查看相近的文件名；请RIS以同名写入，或用 scripts/queue dismiss FILE --why ... 结束告警",
    ),
    Alarm.DOUBT: ("患者身份存疑", "用 queue compare 或在检查页面核对两侧信息，然后 queue resolve，或更正数据"),
    Alarm.DELIVERED_IN_DOUBT: ("已送达后存疑", "告知平台运维人员已送达的内容和时间"),
    Alarm.EXAM_JSON: ("检查JSON有误", "用 queue explain 查看字段；更正RIS导出或其映射文件"),
    Alarm.IMAGES_MISSING: ("缺少影像", "用 scripts/queue explain 查看已收到的和被本节点拒收的影像，再请PACS重新发送"),
    Alarm.UNREPORTED: (
        "影像没有报告",
        "用 scripts/queue unreported 查看，请RIS补发；不出报告的来源：scripts/queue unreported --dismiss AE --why ...",
    ),
    Alarm.SHARED_STUDY: ("等待同一影像的其他检查审核", "请审核另一检查，或用所列命令取消其发送"),
    Alarm.REJECTED_AFTER_DELIVERY: ("送达后被拒绝", "告知平台运维人员哪些影像被拒绝"),
    Alarm.COMMITMENT: ("未作存储承诺", "询问目的地运维人员为何不承诺保存"),
    Alarm.COMMITMENT_SILENCE: ("存储承诺无回音", "请目的地运维人员返回存储承诺结果；节点会再次请求"),
    Alarm.INTEGRITY: ("完整性错误", "运行 verify；磁盘上的文件与收到的不一致"),
    Alarm.CUT_OFF: ("影像数据不完整", "请发送方重新完整发送，或用 queue release 放行，按原样发送"),
    Alarm.DAMAGED: ("存储文件已损坏", "让PACS重新发送该检查，或让RIS重新放入报告；运行 verify 并检查磁盘"),
    Alarm.REFUSED_SENDER: (
        "发送方被拒绝",
        "用 scripts/queue refused 查看原因并更正；不应发送的设备用 scripts/queue refused --dismiss AE --why ... 关闭",
    ),
    Alarm.REFUSED_IMAGES: (
        "影像被拒收",
        "用 scripts/queue refused 查看原因，请发送方重发；无法重发的用 scripts/queue refused --dismiss 关闭",
    ),
    Alarm.POISON: ("文件无法安全读取", "用 quarantine show 查看，联系发送方，再用 quarantine delete 删除；其余照常"),
    Alarm.SETTINGS: ("配置错误", "更正所指的文件；此前继续使用原配置"),
    Alarm.DEFECT: ("程序缺陷", "连同日志一起上报；任务会再次尝试"),
    Alarm.CRYPTO: ("密码或密钥错误", "用 keys show 与平台运维人员核对密钥标识"),
    Alarm.UNPROVED: (
        "拒绝应答未经证实",
        "用 queue explain 查看应答内容，向平台运维人员核实；若属实，用 queue fail 结束该任务；此前每小时重试一次",
    ),
    Alarm.LEDGER: ("台账不明", "查看已暂停的任务，与平台核对后放行或取消"),
    Alarm.RETENTION: ("保留期清理受阻", "查看剩余空间，以及哪些数据不能清理"),
    Alarm.GAPS: ("对账有差异", "查看数据目录 daily/ 中当日的文本，或运行 queue reconcile，再用 queue explain 查看检查"),
    Alarm.BACKUP: ("数据库备份缺失", "查看日志和数据目录所在卷的空间；backup now 会说明原因"),
    Alarm.DATABASE: (
        "数据库文件丢失或被替换",
        "查明谁动了数据目录中的 router.db；然后停止节点，用 backup restore 恢复告警所列的副本",
    ),
    Alarm.AUDIT: ("审计记录存疑", "运行 audit verify；恢复审计记录，或用 audit accept 认可现状；此前不执行人工操作"),
    Alarm.PAUSED: ("已停止发送", "原因消除后运行 scripts/queue resume；scripts/status 显示由谁、为何停止"),
    Alarm.CLOCK: ("时钟跳变", "校准时钟，确认时间同步正常"),
}

Say = Callable[[str], str]


def words(language: str) -> Say:
    """What to say for an English text; what has no translation stays as it is."""
    table = _CHINESE if language == "zh" else _ENGLISH
    return lambda text: table.get(text, text)


def alarm_words(alarm: Alarm, language: str) -> tuple[str, str]:
    """An alarm's name and what to do about it."""
    if language == "zh" and alarm in _ALARMS:
        return _ALARMS[alarm]
    return str(alarm), REMEDY[alarm]


def language_of(asked: str, accepted: str) -> str:
    """The language to answer in: the one asked for, else the first that the browser accepts and we have."""
    if asked in LANGUAGES:
        return asked
    wishes = (wish.partition(";")[0].strip()[:2].lower() for wish in accepted.split(","))
    return next((wish for wish in wishes if wish in LANGUAGES), "en")
