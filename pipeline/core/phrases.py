"""How captions begin that say nothing: refusals, and openings such as "The image shows".

Matched at the beginning only and with every repeat bounded: texts are hostile. They come in lower case, as words.py gives them.
"""

import re

# A longer text that begins with an excuse goes on to describe.
LONGEST_REFUSAL = 400

_SORRY = (
    r"(?:(?:i'm|i am) (?:so |very |really )?(?:sorry|afraid)|sorry|(?:my )?apologies|i (?:sincerely )?apologi[sz]e|unfortunately)"
    r"(?: for (?:the|any) (?:confusion|inconvenience))?[,.;:!—–-]{0,2} ?(?:but |that )?"
)
_I_CANNOT = (
    r"(?:i (?:can't|cannot|can not|won't|will not|couldn't|could not|don't|do not|am unable|am not able|must decline)"
    r"|i'm (?:unable|not able|not comfortable|not allowed))(?: to)?\b"
)
_DECLINED = (
    r"(?:assist|help|provide|describe|identify|view|process|analy[sz]e|create|generate|comply|fulfil|answer|determine|access"
    r"|comment on|discuss|engage|continue|do that|offer|recogni[sz]e|interpret|caption"
    r"|see (?:any|the|an|your) (?:image|picture|photo|attachment))"
)
_REFUSAL = re.compile(
    "|".join(
        (
            f"{_SORRY}{_I_CANNOT}",
            # Without an apology a caption may quote somebody's "I can't": then only what assistants decline to do counts.
            f"{_I_CANNOT} (?:directly )?{_DECLINED}",
            r"as an? (?:ai|(?:large )?language model)(?: (?:language )?(?:model|assistant|system))?,? (?:i|my)\b",
            r"(?:unable|not able) to (?:process|view|analy[sz]e|describe|identify|assist|access)",
            r"(?:there is|there's|i see) no (?:image|picture|photo) (?:attached|provided)",
            # German, French, Spanish, Portuguese, Italian, Dutch, Russian
            r"(?:(?:es )?tut mir leid|entschuldigung|leider),? (?:aber )?(?:ich (?:kann|darf)|(?:das |dabei )?kann ich)",
            r"(?:(?:je suis )?(?:désolée?|navrée?)|malheureusement),? (?:mais )?je ne (?:peux|puis|suis)",
            r"je ne (?:peux|puis|suis) pas (?:en mesure|capable|autorisé|vous aider|aider|fournir|décrire|identifier)",
            r"(?:lo siento|lamentablemente),? (?:pero )?no (?:puedo|me es posible)",
            r"no puedo (?:ayudar|asistir|describir|identificar|proporcionar)",
            r"(?:desculpe|sinto muito|lamento|infelizmente),? (?:mas )?(?:eu )?não (?:posso|consigo)",
            r"(?:mi dispiace|purtroppo),? (?:ma )?non (?:posso|sono in grado)",
            r"(?:het spijt me|helaas),? (?:maar )?(?:ik kan|kan ik)",
            r"(?:извините|простите|к сожалению|мне жаль),? (?:но )?я не (?:могу|в состоянии)",
            r"я не могу (?:помочь|описать|предоставить|выполнить|ответить)",
            # Chinese, Japanese, Korean
            r"(?:很|非常)?(?:抱歉|对不起|對不起)[,，。 ]{0,2}但?是?[,，]?(?:我|作为|作為)[^。]{0,30}(?:无法|無法|不能)",
            r"(?:作为|作為)[^。]{0,20}(?:ai|人工智能|语言模型|語言模型)[^。]{0,20}我",
            r"我(?:无法|無法|不能)(?:协助|協助|提供|描述|识别|識別|满足|帮助|幫助|回答|查看)",
            r"(?:申し訳(?:ありません|ございません|ない)|すみません)[^。]{0,60}(?:できません|できかねます|いたしかねます)",
            r"(?:죄송합니다|죄송하지만|미안하지만).{0,60}(?:수 없습니다|수 없어요|어렵습니다)",
        )
    )
)

_PICTURE = r"(?:image|picture|photo|photograph|scene|snapshot|screenshot)"
_SHOWS = (
    r"(?:shows|depicts|features|displays|captures|presents|portrays|illustrates|contains|showcases|appears to (?:show|depict|be)"
    r"|is (?:an?|of)|(?:you|user) (?:provided|shared|sent))"
)
_KIND = r"(?:(?:possible|brief|short|concise|detailed|simple|one-sentence) ){0,2}(?:caption|description|alt[ -]text|sentence)"
_OPENING = re.compile(
    "|".join(
        (
            rf"(?:the|this) (?:(?:provided|given|attached|uploaded) )?{_PICTURE} {_SHOWS}\b",
            rf"(?:in|on) (?:the|this) (?:(?:provided|given|attached) )?{_PICTURE}\b,?"
            r"(?: (?:we|you|i|one) (?:can )?see\b| there (?:is|are)\b)?",
            rf"(?:this is )?an? {_PICTURE} (?:of|shows|showing|depicts|depicting|featuring|that shows)\b",
            rf"(?:(?:sure|certainly|of course|absolutely)[,!.] )?here(?:'s| is) (?:an?|the|your) {_KIND}\b",
            r"(?:sure|certainly|of course|absolutely)[,!.](?= )",
            r"(?:caption|description|alt[ -]text):",
            # German, French, Spanish, Chinese, Japanese
            r"(?:das|dieses) (?:bild|foto) zeigt\b|auf (?:dem|diesem) (?:bild|foto)\b",
            r"(?:l'|cette |la )(?:image|photo) (?:montre|présente|représente)\b|(?:sur|dans) (?:l'|cette )image\b",
            r"(?:la|esta) (?:imagen|foto) muestra\b|en (?:la|esta) (?:imagen|foto)\b",
            r"[这這][张張幅](?:图片|图像|照片|圖片)(?:显示|展示|中|里)?|图[片中像](?:显示|展示|中)?",
            r"この(?:画像|写真)(?:は|には|では)",
        )
    )
)
_NO_MARKS = {ord(each): None for each in ",!.:"}


def is_refusal(text: str) -> bool:
    """Tell whether a text is short and begins as assistants decline to answer."""
    return len(text) <= LONGEST_REFUSAL and _REFUSAL.match(text) is not None


def stock_phrase(text: str) -> str | None:
    """Give the stock phrase that a text begins with, None if it begins with something of its own."""
    found = _OPENING.match(text)
    return None if found is None else found.group().translate(_NO_MARKS)
