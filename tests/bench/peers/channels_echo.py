"""Django and Channels, served by daphne"""
import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark", LOGGING_CONFIG=None)
django.setup()


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


def echo(request):
    return HttpResponse(request.GET.get("message", ""), content_type="text/plain; charset=utf-8")


urlpatterns = [path("echo", echo)]
application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([path("echo", Echo.as_asgi())])})
