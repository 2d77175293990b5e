"""Many clients of /chat, which come back as html/reconnecting-socket.js does, and somebody who publishes all the time."""
import asyncio
import http.client
import json
import random
import threading
import time
import urllib.parse

import rfc6455

TIMEOUT = 60  # seconds, for whatever takes a client that long has failed


class Client:
    def __init__(self, site, after):
        self.site = site
        self.last = after   # the id of the last message that it has seen
        self.texts = []
        self.open = False
        self.back = []      # when it was connected, each time
        self.failures = 0

    async def stay(self):
        while True:
            try:
                async with rfc6455.connect(f"ws://{self.site}/chat?after={self.last}", open_timeout=TIMEOUT) as socket:
                    self.open = True
                    self.back.append(time.monotonic())
                    async for line in socket:
                        self.receive(json.loads(line))
            except (OSError, asyncio.TimeoutError):
                pass
            self.failures = 0 if self.open else self.failures + 1
            self.open = False
            await asyncio.sleep(min(30, 2 ** self.failures) * random.uniform(0.5, 1))

    def receive(self, message):
        if "id" in message:  # else it tells of a gap
            self.last = message["id"]
            self.texts.append(message["text"])


class Publisher(threading.Thread):
    """Posts one text after another, none of them twice: what is not answered 202 may have been published or not."""

    def __init__(self, site, pause):
        super().__init__(daemon=True)
        self.site = site
        self.pause = pause
        self.statuses = {}  # of each text; None without an answer
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(self.pause):
            text = f"{len(self.statuses)}: {time.time()}"
            self.statuses[text] = post(self.site, text)[0]

    def taken(self):
        return [text for text, status in list(self.statuses.items()) if status == 202]

    def stop(self):
        self.over.set()
        self.join()


def request(site, method, path, body=None):
    """Returns the status and the body of an answer, or None and nothing without one."""
    connection = http.client.HTTPConnection(site, timeout=TIMEOUT)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()


def post(site, text):
    return request(site, "POST", "/chat", urllib.parse.urlencode({"message": text}))


class Crowd:
    """Many clients, in a thread of their own."""

    def __init__(self, site, number, after):
        self.clients = [Client(site, after) for _ in range(number)]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.all_stay(),), daemon=True)
        self.thread.start()

    async def all_stay(self):
        self.tasks = [asyncio.create_task(client.stay()) for client in self.clients]
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def connected(self):
        return sum(client.open for client in self.clients)

    def have(self, text):
        """Whether all have got this text as their last."""
        return all(client.texts[-1:] == [text] for client in self.clients)

    def leave(self):
        for task in self.tasks:
            self.loop.call_soon_threadsafe(task.cancel)
        self.thread.join()
        self.loop.close()
