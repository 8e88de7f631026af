"""Uses the ECS emulator with boto3, as a program of a user would. Every assertion is about what ECS does too.

The environment has the endpoints and the keys. Containers named `app` listen on 8080; `exits` ends with code 3.
"""

import sys
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, WaiterError

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}}
FARGATE = {"launchType": "FARGATE", "networkConfiguration": NETWORK}
GROUP = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/app/6d0ecf831eec9f09"
QUICK = {"Delay": 1, "MaxAttempts": 180}

# One attempt each, so that no error is hidden by the next one.
ecs = boto3.client("ecs", config=Config(retries={"total_max_attempts": 1}))


def register(family, container="app", **more):
    definition = {
        "name": container, "image": f"{container}:1", "essential": True, "stopTimeout": 2,
        "portMappings": [{"containerPort": 8080}], "environment": [{"name": "A", "value": "b"}],
    }
    response = ecs.register_task_definition(
        family=family, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        containerDefinitions=[definition], **more)
    return response["taskDefinition"]["taskDefinitionArn"]


def refusal(code, call, **arguments):
    """Calls an operation that must be refused; returns the error."""
    try:
        response = call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError(f"{code} was expected: {response}")


def definitions():
    tags = [{"key": "team", "value": "web"}]
    first = register("shapes", tags=tags, executionRoleArn="arn:aws:iam::000000000000:role/x",
                     runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
                     ephemeralStorage={"sizeInGiB": 30}, volumes=[{"name": "scratch"}])
    second = register("shapes")
    assert (first[-9:], second[-9:]) == ("/shapes:1", "/shapes:2"), (first, second)

    described = ecs.describe_task_definition(taskDefinition="shapes:1", include=["TAGS"])
    assert described["tags"] == tags and described["taskDefinition"]["status"] == "ACTIVE", described
    pages = list(ecs.get_paginator("list_task_definitions").paginate(familyPrefix="shapes", PaginationConfig={"PageSize": 1}))
    assert [page["taskDefinitionArns"] for page in pages] == [[first], [second]], pages
    assert "shapes" in ecs.list_task_definition_families()["families"]

    ecs.deregister_task_definition(taskDefinition="shapes:1")
    error = refusal("ClientException", ecs.run_task, taskDefinition="shapes:1", **FARGATE)
    assert "inactive" in error["Error"]["Message"], error
    assert ecs.delete_task_definitions(taskDefinitions=["shapes:1", "shapes:2"])["failures"]
    refusal("ClientException", ecs.describe_task_definition, taskDefinition="nothing-like-it")
    refusal("ClientException", ecs.register_task_definition, family="no spaces", containerDefinitions=[])
    return second


def clusters():
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    ecs.create_cluster(clusterName="other", capacityProviders=["FARGATE", "FARGATE_SPOT"],
                       defaultCapacityProviderStrategy=strategy, settings=[{"name": "containerInsights", "value": "enabled"}])
    include = ["TAGS", "SETTINGS", "STATISTICS", "CONFIGURATIONS", "ATTACHMENTS"]
    described = ecs.describe_clusters(clusters=["other", "missing"], include=include)
    assert [failure["reason"] for failure in described["failures"]] == ["MISSING"], described
    ecs.update_cluster_settings(cluster="other", settings=[{"name": "containerInsights", "value": "disabled"}])
    ecs.put_cluster_capacity_providers(cluster="other", capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=[])
    ecs.update_cluster(cluster="other", settings=[{"name": "containerInsights", "value": "enabled"}])
    assert len(ecs.list_clusters(maxResults=1)["clusterArns"]) == 1
    assert len(list(ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1}))) == 2

    assert ecs.delete_cluster(cluster="other")["cluster"]["status"] == "INACTIVE"
    register("nowhere")
    refusal("ClusterNotFoundException", ecs.run_task, cluster="other", taskDefinition="nowhere", **FARGATE)
    refusal("ClusterNotFoundException", ecs.list_tasks, cluster="missing")
    ecs.describe_capacity_providers()
    ecs.list_container_instances()


def tasks():
    register("tasks", tags=[{"key": "t", "value": "definition"}])
    once = {"clientToken": str(uuid.uuid4()), "taskDefinition": "tasks", "count": 2, "propagateTags": "TASK_DEFINITION",
            "tags": [{"key": "x", "value": "y"}], "startedBy": "test", "group": "group", "enableExecuteCommand": True, **FARGATE,
            "overrides": {"cpu": "512", "memory": "1024",
                          "containerOverrides": [{"name": "app", "environment": [{"name": "A", "value": "c"}]}]}}
    started = ecs.run_task(**once)
    arns = [task["taskArn"] for task in started["tasks"]]
    assert len(set(arns)) == 2 and not started["failures"], started
    assert {task["taskArn"] for task in ecs.run_task(**once)["tasks"]} == set(arns), "the token starts nothing again"
    error = refusal("ConflictException", ecs.run_task, **{**once, "count": 1})
    assert set(error["resourceIds"]) == set(arns), error

    ecs.get_waiter("tasks_running").wait(tasks=arns, WaiterConfig=QUICK)
    running = ecs.describe_tasks(tasks=[*arns, "0" * 32], include=["TAGS"])
    assert running["failures"][0]["reason"] == "MISSING", running
    for task in running["tasks"]:
        assert task["connectivity"] == "CONNECTED" and task["cpu"] == "512" and task["startedAt"] >= task["createdAt"], task
        assert {tag["key"] for tag in task["tags"]} == {"t", "x"}, task
    for query in ({"family": "tasks"}, {"startedBy": "test"}, {"desiredStatus": "RUNNING", "launchType": "FARGATE"}):
        assert set(arns) <= set(ecs.list_tasks(**query)["taskArns"]), query
    pages = list(ecs.get_paginator("list_tasks").paginate(family="tasks", PaginationConfig={"PageSize": 1}))
    assert sorted(arn for page in pages for arn in page["taskArns"]) == sorted(arns), pages

    refusal("TargetNotConnectedException", ecs.execute_command, task=arns[0], command="sh", interactive=True)
    refusal("ClusterContainsTasksException", ecs.delete_cluster, cluster="default")
    assert ecs.get_task_protection(cluster="default", tasks=arns)["failures"], "only tasks of services are protected"
    resource_tags(arns[0])

    ecs.stop_task(task=arns[0], reason="enough")
    ecs.stop_task(task=arns[1])
    ecs.get_waiter("tasks_stopped").wait(tasks=arns, WaiterConfig=QUICK)
    stopped = ecs.describe_tasks(tasks=arns)["tasks"]
    assert [task["stopCode"] for task in stopped] == ["UserInitiated"] * 2, stopped
    assert stopped[0]["stoppedReason"] == "enough" and stopped[0]["stoppedAt"] >= stopped[0]["startedAt"], stopped
    try:
        ecs.get_waiter("tasks_running").wait(tasks=arns, WaiterConfig=QUICK)
        raise AssertionError("the waiter fails for stopped tasks")
    except WaiterError as error:
        assert "STOPPED" in str(error), error


def resource_tags(arn):
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "z", "value": "1"}])
    assert {"key": "z", "value": "1"} in ecs.list_tags_for_resource(resourceArn=arn)["tags"]
    ecs.untag_resource(resourceArn=arn, tagKeys=["z"])
    assert {"key": "z", "value": "1"} not in ecs.list_tags_for_resource(resourceArn=arn)["tags"]


def exits():
    register("exits", container="exits")
    [task] = ecs.run_task(taskDefinition="exits", **FARGATE)["tasks"]
    ecs.get_waiter("tasks_stopped").wait(tasks=[task["taskArn"]], WaiterConfig=QUICK)
    [task] = ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"]
    assert task["stopCode"] == "EssentialContainerExited" and task["containers"][0]["exitCode"] == 3, task

    # No program is known for this container, which is what a missing image is here.
    register("missing", container="missing")
    [task] = ecs.run_task(taskDefinition="missing", **FARGATE)["tasks"]
    ecs.get_waiter("tasks_stopped").wait(tasks=[task["taskArn"]], WaiterConfig=QUICK)
    [task] = ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"]
    assert task["stopCode"] == "TaskFailedToStart" and "CannotPullContainerError" in task["stoppedReason"], task
    refusal("InvalidParameterException", ecs.run_task, taskDefinition="exits", count=11, **FARGATE)
    refusal("InvalidParameterException", ecs.run_task, taskDefinition="exits", launchType="FARGATE")
    refusal("InvalidParameterException", ecs.stop_task, task="")


def completed(service):
    """Waits for the end of the deployment: services_stable only looks at the number of tasks, and an update before the
    end stops the deployment."""
    for _ in range(600):
        [described] = ecs.describe_services(services=[service])["services"]
        if [one["rolloutState"] for one in described["deployments"]] == ["COMPLETED"]:
            return
        time.sleep(0.1)
    raise AssertionError(described)


def services():
    register("web")
    register("web")
    balancer = {"targetGroupArn": GROUP, "containerName": "app", "containerPort": 8080}
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}, "minimumHealthyPercent": 50, "maximumPercent": 200}
    ecs.create_service(serviceName="web", taskDefinition="web:1", desiredCount=2, loadBalancers=[balancer],
                       deploymentConfiguration=breaker, tags=[{"key": "a", "value": "b"}], **FARGATE)
    ecs.get_waiter("services_stable").wait(services=["web"], WaiterConfig=QUICK)
    completed("web")
    ecs.update_service(service="web", taskDefinition="web:2")
    ecs.get_waiter("services_stable").wait(services=["web"], WaiterConfig=QUICK)
    completed("web")

    described = ecs.describe_services(services=["web", "missing"], include=["TAGS"])
    [service], [failure] = described["services"], described["failures"]
    assert failure["reason"] == "MISSING" and service["taskDefinition"].endswith(":2"), described
    assert service["runningCount"] == 2 and [one["rolloutState"] for one in service["deployments"]] == ["COMPLETED"], service
    assert ecs.list_services()["serviceArns"] == [service["serviceArn"]]
    assert ecs.list_services_by_namespace(namespace="local")["serviceArns"] == []
    resource_tags(service["serviceArn"])
    deployments(service["serviceArn"])
    protection()
    hook(breaker)
    strategies()
    scaling()

    ecs.update_service(service="web", desiredCount=0)
    ecs.get_waiter("services_stable").wait(services=["web"], WaiterConfig=QUICK)
    refusal("ServiceNotFoundException", ecs.update_service, service="missing", desiredCount=1)
    ecs.delete_service(service="web")
    ecs.get_waiter("services_inactive").wait(services=["web"], WaiterConfig=QUICK)
    refusal("ServiceNotActiveException", ecs.update_service, service="web", desiredCount=1)


def deployments(service):
    listed = ecs.list_service_deployments(service=service)["serviceDeployments"]
    assert [one["status"] for one in listed] == ["SUCCESSFUL"] * 2, listed
    described = ecs.describe_service_deployments(serviceDeploymentArns=[one["serviceDeploymentArn"] for one in listed])
    [revision, *_] = [one["targetServiceRevision"]["arn"] for one in described["serviceDeployments"]]
    [revision] = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    assert revision["taskDefinition"].endswith((":1", ":2")), revision


def protection():
    arns = ecs.list_tasks(serviceName="web")["taskArns"]
    protected = ecs.update_task_protection(cluster="default", tasks=arns, protectionEnabled=True, expiresInMinutes=5)
    assert [task["protectionEnabled"] for task in protected["protectedTasks"]] == [True, True], protected
    ecs.update_task_protection(cluster="default", tasks=arns, protectionEnabled=False)
    assert len(ecs.get_task_protection(cluster="default", tasks=arns)["protectedTasks"]) == 2


def latest_deployment(where):
    """Waits until the last deployment of the service satisfies `where`; returns it."""
    deadline = time.monotonic() + 180
    while True:
        [arn, *_] = [one["serviceDeploymentArn"] for one in ecs.list_service_deployments(service="web")["serviceDeployments"]]
        [deployment] = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        if where(deployment):
            return deployment
        assert time.monotonic() < deadline, deployment
        time.sleep(0.2)


def waiting_hook(deployment):
    hooks = deployment.get("lifecycleHookDetails", [])
    return next((hook["hookId"] for hook in hooks if hook["status"] == "AWAITING_ACTION"), None)


def hook(breaker):
    """Deployments that wait for their caller: one goes on, one is stopped."""
    pause = {"lifecycleStages": ["POST_SCALE_UP"], "targetType": "PAUSE"}
    waits = {"service": "web", "deploymentConfiguration": {**breaker, "lifecycleHooks": [pause]}}
    ecs.update_service(taskDefinition="web:1", **waits)
    waiting = latest_deployment(waiting_hook)
    ecs.continue_service_deployment(
        serviceDeploymentArn=waiting["serviceDeploymentArn"], hookId=waiting_hook(waiting), action="CONTINUE")
    latest_deployment(lambda one: one["status"] == "SUCCESSFUL")

    ecs.update_service(taskDefinition="web:2", **waits)
    waiting = latest_deployment(waiting_hook)
    ecs.stop_service_deployment(serviceDeploymentArn=waiting["serviceDeploymentArn"], stopType="ROLLBACK")
    rolled_back = latest_deployment(lambda one: one["status"] == "ROLLBACK_SUCCESSFUL")
    assert rolled_back["rollback"]["serviceRevisionArn"], rolled_back
    refusal("ServiceDeploymentNotFoundException", ecs.stop_service_deployment,
            serviceDeploymentArn=waiting["serviceDeploymentArn"][:-4] + "none")


def strategies():
    """Blue/green and canary deployments, which move the traffic of a listener."""
    rule = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/1/2/3"
    balancer = {"targetGroupArn": GROUP, "containerName": "app", "containerPort": 8080, "advancedConfiguration": {
        "alternateTargetGroupArn": GROUP.replace("/app/", "/other/"), "productionListenerRule": rule,
        "roleArn": "arn:aws:iam::000000000000:role/ecs"}}
    for name, more in (("BLUE_GREEN", {"bakeTimeInMinutes": 1}),
                       ("CANARY", {"canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1}}),
                       ("LINEAR", {"linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": 1}})):
        revision = register("web")
        ecs.update_service(service="web", taskDefinition=revision, loadBalancers=[balancer],
                           deploymentConfiguration={"strategy": name, **more})
        deployment = latest_deployment(lambda one: one["status"] == "SUCCESSFUL" and one["finishedAt"])
        assert deployment["deploymentConfiguration"]["strategy"] == name, deployment
        [service] = ecs.describe_services(services=["web"])["services"]
        assert service["taskDefinition"] == revision, service


def scaling():
    autoscaling = boto3.client("application-autoscaling")
    target = {"ServiceNamespace": "ecs", "ResourceId": "service/default/web", "ScalableDimension": "ecs:service:DesiredCount"}
    autoscaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    tracking = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    autoscaling.put_scaling_policy(**target, PolicyName="cpu", PolicyType="TargetTrackingScaling",
                                   TargetTrackingScalingPolicyConfiguration=tracking)
    assert len(autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]) == 1
    assert len(autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]) == 1
    action = {"ScheduledActionName": "night", "Schedule": "cron(0 22 * * ? *)", "ScalableTargetAction": {"MinCapacity": 0}}
    autoscaling.put_scheduled_action(**target, **action)
    assert len(autoscaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"]) == 1
    autoscaling.delete_scheduled_action(**target, ScheduledActionName="night")
    assert autoscaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"] == []
    autoscaling.delete_scaling_policy(**target, PolicyName="cpu")
    autoscaling.deregister_scalable_target(**target)


def account():
    assert boto3.client("sts").get_caller_identity()["Account"] == "000000000000"
    ecs.put_account_setting(name="containerInsights", value="enabled")
    ecs.put_account_setting_default(name="taskLongArnFormat", value="enabled")
    assert ecs.list_account_settings(effectiveSettings=True)["settings"]
    ecs.delete_account_setting(name="containerInsights")


def signatures():
    wrong = boto3.client("ecs", aws_access_key_id="AKIAWRONGWRONGWRONG0", aws_secret_access_key="x")
    refusal("UnrecognizedClientException", wrong.list_clusters)
    own = boto3.Session().get_credentials().access_key
    refusal("InvalidSignatureException", boto3.client("ecs", aws_access_key_id=own, aws_secret_access_key="x").list_clusters)
    refusal("UnknownOperationException", ecs.list_attributes, targetType="container-instance")


def faults():
    """The rules of the emulator's faults file, one call each, and then every call is denied."""
    for code in ("ThrottlingException", "TooManyRequestsException", "InvalidParameterException", "ServerException",
                 "ServiceUnavailableException"):
        refusal(code, ecs.list_clusters)
    for _ in ("cut", "cut-after"):
        try:
            raise AssertionError(f"the connection is cut: {ecs.list_clusters()}")
        except HTTPClientError:
            pass
    every = {
        "register_task_definition": {"family": "x", "containerDefinitions": []}, "describe_task_definition": {"taskDefinition": "x"},
        "run_task": {"taskDefinition": "x"}, "describe_tasks": {"tasks": ["0" * 32]}, "list_tasks": {}, "stop_task": {"task": "0" * 32},
        "create_service": {"serviceName": "x"}, "update_service": {"service": "x"}, "describe_services": {"services": ["x"]},
        "delete_service": {"service": "x"}, "list_service_deployments": {"service": "x"}, "create_cluster": {}, "list_clusters": {},
    }
    for name, arguments in every.items():
        refusal("AccessDeniedException", getattr(ecs, name), **arguments)


PARTS = [account, signatures, definitions, clusters, tasks, exits, services]

if __name__ == "__main__":
    # The faults need an emulator with their rules.
    for part in [faults] if sys.argv[1:] == ["faults"] else PARTS:
        part()
        print(f"{part.__name__}: done", flush=True)
