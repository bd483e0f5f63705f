"""Language detection: English in all its forms stays English, other languages are told apart."""

import threading

import pytest

from assistant.language import detect, understood


@pytest.mark.parametrize(
    "text",
    [
        "I want to ask for more money but I am afraid.",
        "me no sabi wetin to do, my oga dey vex",
        "cant sleep bc of the rota lol",
        "I am not agree with my chief since two month, he not listen.",
        "gonna quit fr",
        "Asked Priya, Marjolein and Okonjo about the Rotterdam contract.",
        "Too many meetings!",
        "Am meisten hilft mir das Wochenende. The rest of the week I only work and I sleep and I work.",
    ],
)
def test_english_in_every_form_is_english(text: str) -> None:
    assert detect(text) == "en"
    assert understood(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("No puedo mas, mi jefe me grita todos los dias y no duermo", "es"),
        ("Ich weiss nicht mehr weiter, mein Chef macht mich fertig", "de"),
        ("Je suis fatigue et je ne sais plus quoi faire avec mon equipe", "fr"),
        ("Bugun is yerinde cok yoruldum ve kimseyle konusmak istemiyorum", "tr"),
        ("Nimechoka sana na kazi yangu na sijui nifanye nini", "sw"),
        ("Saya lelah sekali dengan pekerjaan ini dan tidak tahu harus bagaimana", "id"),
        ("Nie mam juz sily do tej pracy i nie wiem co robic", "pl"),
        ("main bahut thak gaya hoon aur kaam mein mann nahi lagta", "hi"),
        ("मैं बहुत थक गया हूँ और मुझे नींद नहीं आती", "hi"),
        ("أنا متعب جدا ولا أريد أن أعيش", "ar"),
        ("我不想活了", "zh"),
        ("Я больше не хочу жить", "ru"),
        ("Nao aguento mais este trabalho e nao sei o que fazer", "pt"),
        ("Non ce la faccio piu con questo lavoro e non dormo", "it"),
        ("Ik weet niet meer wat ik moet doen met mijn werk", "nl"),
    ],
)
def test_other_languages_are_named(text: str, code: str) -> None:
    assert detect(text) == code
    assert not understood(text)


@pytest.mark.parametrize("text", ["", "   ", "Anna", "42", "12.5 %", "???", "\x00\x01", "\ud800", "👍👍"])
def test_too_little_to_tell_is_unknown_and_let_through(text: str) -> None:
    assert detect(text) == "unknown"
    assert understood(text)


def test_the_larger_share_decides_a_mixed_text() -> None:
    english = "I had a good week and I learned how to ask for help. My boss listened to me."
    french = "Je suis fatigué et je ne dors plus. Mon chef ne m'écoute jamais pendant les réunions."
    assert understood(english + " Il faut cultiver notre jardin.")
    assert not understood(french + " " + french + " I am tired.")


def test_several_threads_get_the_same_answer() -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(detect("Estoy muy cansado de todo esto y no duermo")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["es"] * 8
