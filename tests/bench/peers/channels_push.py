"""Django and Channels with channels_redis, served by daphne: what one client sends goes to the group that every client is in"""
import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

settings.configure(SECRET_KEY="of a benchmark", LOGGING_CONFIG=None, CHANNEL_LAYERS={
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [f"unix://{os.environ['DUPLEX_REDIS']}"]}}})
django.setup()


class Chat(AsyncWebsocketConsumer):
    groups = ["chat"]

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("chat", {"type": "chat.message", "text": text_data})

    async def chat_message(self, event):
        await self.send(event["text"])


application = ProtocolTypeRouter({"websocket": URLRouter([path("chat", Chat.as_asgi())])})
