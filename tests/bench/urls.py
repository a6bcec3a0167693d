"""The product's addresses, and the limit: parse the body, insert one row, answer."""

import json

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from tests.bench.models import BareRow


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    body = request.body
    json.loads(body)
    row = BareRow.objects.create(body=body.decode())
    return JsonResponse({"id": row.pk}, status=201)


urlpatterns = [path("bare", bare), path("", include("reviewportal.urls"))]
