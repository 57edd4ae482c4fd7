"""Parses, counts and searches in two threads for as many seconds as the argument says."""
import re
import sys
import threading
import time


class Lexer:
    def __init__(self, text):
        self.text = text

    def next(self):
        commas = 0
        for c in self.text:
            if c == ",":
                commas += 1
        return commas


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work(end):
    text = "a,b,c," * 20000
    while time.time() < end:
        Lexer(text).next()
        fib(15)
        re.findall(r"\w", text)


end = time.time() + float(sys.argv[1])
helper = threading.Thread(target=work, args=(end,), name="helper; <b>2</b>")
helper.start()
work(end)
helper.join()
