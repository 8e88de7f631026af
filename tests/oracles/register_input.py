"""Judges task definitions by botocore's own model of RegisterTaskDefinition.

ParamValidator checks types, unknown and required fields, and minima, but neither enums, maxima nor
patterns; the walk below adds the enums. Prints one line a fault and exits 1 when there is one.
"""

import json
import sys

import botocore.session
from botocore.validate import ParamValidator


def enum_faults(value, shape, path):
    """Every string in `value` that is not one of the words its shape allows."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from enum_faults(value[name], member, f"{path}/{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from enum_faults(item, shape.member, f"{path}/{index}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path}: `{value}` is not one of {', '.join(shape.enum)}"


def faults(definition, shape):
    report = ParamValidator().validate(definition, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
    yield from enum_faults(definition, shape, "")


def main(paths):
    service = botocore.session.Session().get_service_model("ecs")
    shape = service.operation_model("RegisterTaskDefinition").input_shape
    found = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            definition = json.load(file)
        for fault in faults(definition, shape):
            found += 1
            print(f"{path}: {fault}")
    print(f"{len(paths)} definitions, {found} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
