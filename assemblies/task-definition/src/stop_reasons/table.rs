//! The table. Specific entries come before general ones.

use super::StopReason;

/// Reasons why tasks stop, from specific to general.
pub const STOP_REASONS: &[StopReason] = &[
    // Images.
    StopReason {
        patterns: &[
            "toomanyrequests",
            "pull rate limit",
            "cannotpull*429 too many requests",
        ],
        cause: "the registry's limit for pulls is reached; Docker Hub counts anonymous pulls per IP address, and tasks behind one NAT gateway share it",
        next_step: "copy the image to Amazon ECR or use an ECR pull through cache, or log in with `repositoryCredentials`",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &[
            "does not contain descriptor matching platform",
            "no match for platform in manifest",
            "no matching manifest for",
        ],
        cause: "the image has no variant for the task's CPU architecture",
        next_step: "build the image for the task's architecture, or set `runtimePlatform.cpuArchitecture` to that of the image",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &[
            "cannotpull*no space left on device",
            "failed to extract layer*no space left",
            "write*no space left on device",
        ],
        cause: "the task's ephemeral storage is full; images, unpacked, and all files of the containers share it (20 GiB unless the task definition sets more)",
        next_step: "set `ephemeralStorage.sizeInGiB` (21 to 200), or make the image smaller",
        source: STORAGE,
    },
    StopReason {
        patterns: &[
            "cannotpull*pull access denied",
            "cannotpull*403 forbidden",
            "cannotpull*accessdenied",
            "cannotpull*not authorized",
            "cannotpull*401 unauthorized",
            "cannotpull*authorization failed",
            "cannotpull*insufficient_scope",
            "cannotpullecrcontainererror",
        ],
        cause: "the execution role may not pull the image, or the repository does not exist or is private",
        next_step: "give the execution role ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer; in another account also the repository's policy; with S3 endpoints also access to the layers' bucket",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &[
            "cannotpull*manifest unknown",
            "cannotpull*name unknown",
            "cannotpull*repository does not exist",
            "cannotpull*not found",
            "cannotpullimagemanifesterror",
        ],
        cause: "the image does not exist in the registry: the repository, tag or digest is wrong, it was deleted, or it was never pushed",
        next_step: "compare the image in the task definition with `aws ecr describe-images`; keep images that are in use when a lifecycle policy deletes old ones",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &[
            "cannotpull*i/o timeout",
            "cannotpull*request canceled",
            "cannotpull*context deadline exceeded",
            "cannotpull*no such host",
            "cannotpull*connection refused",
            "cannotpull*connect: network is unreachable",
            "cannotpull*tls handshake timeout",
            "cannotpull*connection reset",
        ],
        cause: "there is no network path from the task's subnet to the registry",
        next_step: "in a public subnet assign a public IP address; in a private one add a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr and S3 whose security group allows port 443 from the task",
        source: "https://repost.aws/knowledge-center/ecs-fargate-pull-container-error",
    },
    StopReason {
        patterns: &[
            "invalid reference format",
            "invalid image reference",
            "cannotpull*parsing image",
        ],
        cause: "the image reference is not valid",
        next_step: "write the image as registry/repository:tag or registry/repository@sha256:digest, in lower case and without https://",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &["cannotpull*context canceled"],
        cause: "the pull was canceled: it took too long, or the task was stopped meanwhile",
        next_step: "check the network path to the registry and the size of the image, and start the task again",
        source: CANNOT_PULL,
    },
    StopReason {
        patterns: &["cannotpull"],
        cause: "an image cannot be pulled",
        next_step: "check that the image exists, that the execution role may pull it, and that the subnet has a route to the registry",
        source: CANNOT_PULL,
    },
    // Secrets, logs, volumes.
    StopReason {
        patterns: &[
            "unable to pull secrets*accessdenied",
            "unable to retrieve secret*accessdenied",
            "unable to retrieve secrets from ssm*accessdenied",
            "unable to pull secrets*not authorized",
            "fetching secret data*accessdenied",
        ],
        cause: "the execution role (not the task role) may not read a secret",
        next_step: "give the execution role secretsmanager:GetSecretValue or ssm:GetParameters for it, and kms:Decrypt if it has a key of your own",
        source: SECRETS,
    },
    StopReason {
        patterns: &[
            "unable to retrieve secret*resourcenotfound",
            "unable to pull secrets*can't find the specified secret",
            "unable to retrieve secrets from ssm*invalid parameters",
            "retrieved secret*did not contain json key",
            "unable to retrieve secret*did not contain json key",
        ],
        cause: "a secret, a parameter, or a key in a secret does not exist",
        next_step: "compare `valueFrom` with the ARN of the secret, its six random characters and the JSON key included, and with the region",
        source: SECRETS,
    },
    StopReason {
        patterns: &[
            "unable to retrieve ecr registry auth*accessdenied",
            "unable to retrieve ecr registry auth*not authorized",
            "unable to pull registry auth from amazon ecr*accessdenied",
        ],
        cause: "the execution role may not log in to Amazon ECR",
        next_step: "give the execution role ecr:GetAuthorizationToken",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "unable to pull secrets or registry auth*timeout",
            "unable to pull secrets or registry auth*requesterror",
            "unable to pull secrets or registry auth*deadline exceeded",
            "unable to pull registry auth from amazon ecr*",
            "there is a connection issue between the task and",
        ],
        cause: "there is no network path from the task's subnet to Amazon ECR, Secrets Manager or Systems Manager",
        next_step: "in a public subnet assign a public IP address; in a private one add a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr, secretsmanager, ssm, logs and S3 whose security group allows port 443 from the task",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "unable to assume the role",
            "unable to assume the service linked role",
            "assumerole*is not authorized",
        ],
        cause: "ECS cannot assume a role of the task",
        next_step: "let the role trust ecs-tasks.amazonaws.com, and check that it exists in the account of the task",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "failed to validate logger args*log group does not exist",
            "failed to validate logger args*resourcenotfoundexception",
            "the specified log group does not exist",
        ],
        cause: "the log group does not exist",
        next_step: "create the log group, or set `awslogs-create-group` to true and give the execution role logs:CreateLogGroup",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "failed to validate logger args*accessdenied",
            "failed to validate logger args*not authorized",
        ],
        cause: "the execution role may not write to the log group",
        next_step: "give the execution role logs:CreateLogStream and logs:PutLogEvents for the log group",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "failed to validate logger args",
            "failed to initialize logging driver",
        ],
        cause: "the log driver cannot be started: its options are not valid, or CloudWatch Logs cannot be reached",
        next_step: "check `awslogs-group` and `awslogs-region`, and the route or VPC endpoint to CloudWatch Logs",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "failed to invoke efs utils",
            "efs*mount*failed",
            "failed to resolve*.efs.",
        ],
        cause: "an EFS volume cannot be mounted",
        next_step: "check that the file system has a mount target in the task's zone, that its security group allows port 2049 from the task, that the VPC resolves DNS names, and with IAM authorization the task role",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/efs-volumes.html",
    },
    StopReason {
        patterns: &[
            "failed to download env files",
            "unable to download env file",
            "environmentfiles*s3",
        ],
        cause: "an environment file cannot be read from S3",
        next_step: "give the execution role s3:GetObject for the file and s3:GetBucketLocation for the bucket, and check the route to S3",
        source: RESOURCE_INITIALIZATION,
    },
    StopReason {
        patterns: &[
            "resourceinitializationerror*failed to initialize*",
            "unable to pull secrets or registry auth",
        ],
        cause: "the task's resources (secrets, registry login, volumes, logs) cannot be prepared",
        next_step: "check the execution role's permissions, and the subnet's route to ECR, Secrets Manager, Systems Manager and CloudWatch Logs",
        source: RESOURCE_INITIALIZATION,
    },
    // Programs.
    StopReason {
        patterns: &["exec format error", "exec user process caused*exec format"],
        cause: "the program is built for another CPU architecture, or it is a script without a `#!` line",
        next_step: "build the image with --platform linux/amd64 or linux/arm64, or set `runtimePlatform.cpuArchitecture`; begin scripts with #!/bin/sh",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-arm64.html",
    },
    StopReason {
        patterns: &[
            "executable file not found",
            "no such file or directory",
            "exit code 127.",
        ],
        cause: "the program of `entryPoint` or `command` is not found in the image, or its interpreter or a library is missing",
        next_step: "run the image locally with the same entryPoint and command; images FROM scratch have no shell, so write the command as a list without `sh -c`",
        source: CANNOT_START,
    },
    StopReason {
        patterns: &["cannotstart*permission denied", "exit code 126."],
        cause: "the program may not be executed: it lacks the executable bit, or the user of the container may not read it",
        next_step: "set the executable bit in the image (chmod 755), and check `user`",
        source: CANNOT_START,
    },
    StopReason {
        patterns: &["unable to find user", "no matching entries in passwd file"],
        cause: "the user of the container does not exist in the image",
        next_step: "set `user` to a number, or add the user to the image",
        source: CANNOT_START,
    },
    StopReason {
        patterns: &[
            "dependency graph",
            "startup dependency ordering",
            "dependencytimeout",
        ],
        cause: "a container that this one depends on did not reach its condition (`dependsOn`): it exited, or did not become healthy within its startTimeout",
        next_step: "look at the output of the dependency first, then at its health check and `startTimeout`",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html",
    },
    StopReason {
        patterns: &["dockertimeouterror", "could not transition to"],
        cause: "a container did not change its state in time: the host or its disk was too slow, or the start of the container hangs",
        next_step: "start the task again; if it happens often, use more CPU or a smaller image",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &["outofmemory", "oomkilled", "killed due to memory usage"],
        cause: "a container used more memory than its limit (`memory` of the container, or of the task), and was killed",
        next_step: "raise the memory, or limit the program's own heap (for example -XX:MaxRAMPercentage, --max-old-space-size); `memoryReservation` alone is no limit",
        source: "https://repost.aws/knowledge-center/ecs-resolve-outofmemory-errors",
    },
    StopReason {
        patterns: &["cannotcreatecontainererror", "cannotcreatevolumeerror"],
        cause: "a container or a volume cannot be created",
        next_step: "check mount points, volumes, `linuxParameters` and `ulimits` of the task definition",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &[
            "cannotinspectcontainererror",
            "cannotstopcontainererror",
            "dockerstateerror",
            "internalerror: unable to",
        ],
        cause: "the agent of Fargate cannot control a container; the fault is that of the host",
        next_step: "start the task again; a service does so by itself",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &["cannotstartcontainererror"],
        cause: "a container cannot be started",
        next_step: "run the image locally with the same entryPoint, command and user; check `memory` and the mount points",
        source: CANNOT_START,
    },
    // Health.
    StopReason {
        patterns: &[
            "failed container health checks",
            "container health check failed",
            "container health checks failed",
        ],
        cause: "the health check of an essential container failed `retries` times in a row",
        next_step: "run its command in the container; give it a longer `startPeriod` or `timeout`; images without a shell or curl need a probe of their own",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html",
    },
    StopReason {
        patterns: &[
            "failed elb health checks",
            "health checks failed*target group",
            "target-group*is unhealthy",
            "is unhealthy in*target-group",
        ],
        cause: "the load balancer's health check failed",
        next_step: "check the path, port and expected status of the target group, that the task's security group allows the load balancer, and `healthCheckGracePeriodSeconds` for slow starts",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-service-load-balancers.html",
    },
    // Placement and network.
    StopReason {
        patterns: &[
            "capacity is unavailable",
            "no capacity",
            "fargate_spot*capacity",
        ],
        cause: "Fargate has no capacity of this size in the zones of the subnets at the moment",
        next_step: "try again later, with subnets in more zones, another size, or On-Demand instead of Spot",
        source: "https://repost.aws/knowledge-center/ecs-fargate-runtask-capacity",
    },
    StopReason {
        patterns: &[
            "limit on the number of tasks",
            "reached the limit on the number of vcpus",
            "vcpu limit",
            "limit exceeded*fargate",
        ],
        cause: "the account's quota of Fargate vCPUs in the region is used up",
        next_step: "stop tasks, or request a higher quota in Service Quotas (Fargate On-Demand or Spot vCPU resource count)",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html",
    },
    StopReason {
        patterns: &[
            "network interface provisioning",
            "unexpected ec2 error while attempting to create network interface",
            "insufficientfreeaddressesinsubnet",
            "not enough free addresses",
            "networkinterface*limitexceeded",
        ],
        cause: "the task's network interface cannot be created",
        next_step: "check that the subnet has free addresses, the quota of network interfaces, and the service-linked role AWSServiceRoleForECS",
        source: FAILURES,
    },
    StopReason {
        patterns: &[
            "resource:cpu",
            "resource:memory",
            "resource:eni",
            "resource:gpu",
            "resource:ports",
            "resource:*",
        ],
        cause: "no container instance has the resources that the task needs",
        next_step: "check the size of the task and the capacity provider of the cluster; on Fargate try again",
        source: FAILURES,
    },
    // Stops on request.
    StopReason {
        patterns: &[
            "your spot task was interrupted",
            "spotinterruption",
            "spot task was interrupted",
        ],
        cause: "AWS needs the Spot capacity back; the task had two minutes from SIGTERM",
        next_step: "handle SIGTERM within `stopTimeout` (up to 120 s), and start the work again; use On-Demand for work that cannot be interrupted",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html",
    },
    StopReason {
        patterns: &[
            "terminationnotice",
            "task retirement",
            "scheduled for retirement",
            "ecs is performing maintenance",
        ],
        cause: "Fargate retired the host of the task, for maintenance or a security update",
        next_step: "nothing for a service, which starts a replacement; start a single task again",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-maintenance.html",
    },
    StopReason {
        patterns: &["infrastructurehealth", "underlying infrastructure"],
        cause: "the host of the task is impaired",
        next_step: "nothing for a service, which starts a replacement; start a single task again",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &[
            "deployment circuit breaker",
            "deployment failed: tasks failed to start",
        ],
        cause: "the deployment failed: too many of its tasks did not start or become healthy",
        next_step: "look at the stopped tasks of the failed deployment: their own reasons are the cause",
        source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
    },
    StopReason {
        patterns: &[
            "scaling activity initiated by",
            "serviceschedulerinitiated",
            "service scheduler",
        ],
        cause: "the service stopped the task: it scaled in, replaced it in a deployment, or found it unhealthy",
        next_step: "look at the events of the service for the time of the stop",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &[
            "task stopped by user",
            "stopped by user",
            "userinitiated",
            "stopped by assemble run",
        ],
        cause: "a user or a program called StopTask",
        next_step: "look for StopTask in CloudTrail to see the caller",
        source: STOP_CODES,
    },
    // Exit codes.
    StopReason {
        patterns: &["exit code 137."],
        cause: "the container was ended by SIGKILL (128 + 9): it used too much memory, or did not end within `stopTimeout` after SIGTERM",
        next_step: "look for OutOfMemoryError in the container's reason; without it, make the program end on SIGTERM or raise `stopTimeout`",
        source: TASK_STOPPED,
    },
    StopReason {
        patterns: &["exit code 139."],
        cause: "the program was ended by SIGSEGV (128 + 11), an invalid memory access",
        next_step: "look at its last output; check native libraries and the CPU architecture of the image",
        source: TASK_STOPPED,
    },
    StopReason {
        patterns: &["exit code 143."],
        cause: "the container was ended by SIGTERM (128 + 15): it was asked to stop, because another container exited, a dependency failed or the task was stopped",
        next_step: "look at the container that exited first, or at the stop code of the task",
        source: TASK_STOPPED,
    },
    // Stop codes.
    StopReason {
        patterns: &[
            "essential container in task exited",
            "essentialcontainerexited",
        ],
        cause: "an essential container exited, so ECS stopped the others",
        next_step: "look at the exit code and the last output of the first container that exited; a container that may exit needs `essential: false`",
        source: STOP_CODES,
    },
    StopReason {
        patterns: &["taskfailedtostart", "resourceinitializationerror"],
        cause: "the task never ran",
        next_step: "look at `stoppedReason` and at the `reason` of each container",
        source: STOP_CODES,
    },
];

const STOP_CODES: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html";
const CANNOT_PULL: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html";
const CANNOT_START: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html";
const RESOURCE_INITIALIZATION: &str = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html";
const SECRETS: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html";
const STORAGE: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html";
const FAILURES: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html";
const TASK_STOPPED: &str = "https://repost.aws/knowledge-center/ecs-task-stopped";
