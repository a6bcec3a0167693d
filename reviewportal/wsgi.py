import os

from django.core.management.base import BaseCommand
from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
application = get_wsgi_application()
# Commands run the system checks by themselves; a web server has to be told.
BaseCommand().check()
# A server that forks after this must not share what the checks opened.
connections.close_all()
