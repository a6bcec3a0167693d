import os

from django.core.asgi import get_asgi_application
from django.core.management.base import BaseCommand
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
application = get_asgi_application()
# As in wsgi.py.
BaseCommand().check()
connections.close_all()
