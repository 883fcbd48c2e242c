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
    "Accession number": "检查流水号",
    "Patient ID": "患者编号",
    "Patient's name": "患者姓名",
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
    "json": "检查JSON",
    "pdf": "报告PDF",
    "stable": "影像到齐",
    "commitment": "存储承诺",
    "undue": "尚无截止时间",
    "first-half": "前一半时间",
    "second-half": "后一半时间",
    "last-quarter": "最后四分之一",
    "missed": "已超时",
    "missed-a-day": "超时一天以上",
}

_ENGLISH: Mapping[str, str] = {
    "undue": "no due time yet",
    "first-half": "first half of its time",
    "second-half": "second half",
    "last-quarter": "last quarter",
    "missed-a-day": "missed by a day or more",
    "pdf": "report PDF",
    "json": "exam JSON",
    "stable": "more images",
}

_ALARMS: Mapping[Alarm, tuple[str, str]] = {
    Alarm.HALF_TIME: ("时间过半", "时间已过一半仍有内容未到，见该检查的说明"),
    Alarm.AT_RISK: ("有超时风险", "见该检查在等待什么，并确认目的地是否接收数据"),
    Alarm.MISSED: ("已超时", "告知平台；发送会继续进行"),
    Alarm.BREAKER: ("目的地不可用", "数据不会丢失，目的地恢复后自动继续发送"),
    Alarm.DISK: ("磁盘空间不足", "清理数据文件夹所在的卷，或缩短 [retention]；此前拒收影像"),
    Alarm.DROP_FOLDER: ("报告文件夹不可用", "确认共享已挂载，节点账户可读写"),
    Alarm.DROPPED_FILE: ("文件无法读取", "检查报告文件夹下文件和目录的权限"),
    Alarm.DOUBT: ("患者身份存疑", "核对两侧信息，然后 queue resolve，或更正数据"),
    Alarm.DELIVERED_IN_DOUBT: ("已送达后存疑", "告知平台运维人员已送达的内容和时间"),
    Alarm.IMAGES_MISSING: ("缺少影像", "在PACS中确认该检查是否已路由到本节点，并重新发送"),
    Alarm.REJECTED_AFTER_DELIVERY: ("送达后被拒绝", "告知平台运维人员哪些影像被拒绝"),
    Alarm.COMMITMENT: ("未作存储承诺", "询问目的地运维人员为何不承诺保存"),
    Alarm.COMMITMENT_SILENCE: ("存储承诺无回音", "请目的地运维人员返回存储承诺结果；节点会再次请求"),
    Alarm.INTEGRITY: ("完整性错误", "运行 verify；磁盘上的文件与收到的不一致"),
    Alarm.SETTINGS: ("配置错误", "更正所指的文件；此前继续使用原配置"),
    Alarm.DEFECT: ("程序缺陷", "连同日志一起上报；任务会再次尝试"),
    Alarm.CRYPTO: ("密码或密钥错误", "用 keys show 与平台运维人员核对密钥标识"),
    Alarm.LEDGER: ("台账不明", "查看已暂停的任务，与平台核对后放行或取消"),
    Alarm.RETENTION: ("保留期清理受阻", "查看剩余空间，以及哪些数据不能清理"),
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
