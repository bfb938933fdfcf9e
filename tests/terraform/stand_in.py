"""``python -m tests.terraform.stand_in``: moto in place of AWS, with a network, a secret and a certificate that are "your own".

Prints one line of JSON with the address and what bring-your-own needs to be told, then serves until its input is closed.
"""

import json
import sys

import boto3
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"


def complete() -> None:
    """Make moto remember what it forgets and Terraform asks for again, so that a plan after an apply shows what AWS would."""
    tags: dict[str, object] = {}
    register, create = ApplicationAutoScalingResponse.register_scalable_target, EC2ContainerServiceResponse.create_service
    described = SecurityGroupRule.description.fget

    def register_scalable_target(self: ApplicationAutoScalingResponse) -> str:
        answer = register(self)
        if self._get_param("Tags"):
            tags[json.loads(answer)["ScalableTargetARN"]] = self._get_param("Tags")
        return answer

    def list_tags_for_resource(self: ApplicationAutoScalingResponse) -> str:
        return json.dumps({"Tags": tags.get(self._get_param("ResourceARN"), {})})

    def create_service(self: EC2ContainerServiceResponse) -> object:
        answer = create(self)
        service = answer.result["service"]
        service.launch_type = None
        service.capacity_provider_strategy = self._get_param("capacityProviderStrategy")
        service.availability_zone_rebalancing = self._get_param("availabilityZoneRebalancing")
        service.health_check_grace_period_seconds = self._get_param("healthCheckGracePeriodSeconds")
        return answer

    ApplicationAutoScalingResponse.register_scalable_target = register_scalable_target
    ApplicationAutoScalingResponse.list_tags_for_resource = list_tags_for_resource
    EC2ContainerServiceResponse.create_service = create_service
    SecurityGroupRule.description = property(lambda rule: described(rule) or (rule.source_group or {}).get("Description"))


def own(url: str) -> dict[str, object]:
    """Make what an operator would bring; as the variables of the example."""
    client = {name: boto3.client(name, region_name=REGION, endpoint_url=url) for name in ("ec2", "secretsmanager", "acm")}
    vpc = client["ec2"].create_vpc(CidrBlock="10.61.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        client["ec2"].create_subnet(VpcId=vpc, CidrBlock=f"10.61.{n}.0/24", AvailabilityZone=f"{REGION}{'abc'[n % 3]}")["Subnet"][
            "SubnetId"
        ]
        for n in range(6)
    ]
    secret = client["secretsmanager"].create_secret(Name="valkey", SecretString="rediss://shop:a-password@valkey.example:6379/0")[
        "ARN"
    ]
    certificate = client["acm"].request_certificate(DomainName="freshet.example")["CertificateArn"]
    return {
        "region": REGION,
        "image_tag": "1",
        "metrics_tag": "1",
        "certificate_arn": certificate,
        "client_cidrs": ["198.51.100.0/24"],
        "operator_arns": ["arn:aws:iam::123456789012:role/people"],
        "network": {
            "vpc_id": vpc,
            "private_subnet_ids": subnets[:3],
            "balancer_subnet_ids": subnets[3:],
            "engine_cidrs": ["10.61.0.0/16"],
        },
        "kafka": {"bootstrap": "kafka.example:9092", "auth": "none"},
        "valkey_secret_arn": secret,
        "throwaway": True,
    }


if __name__ == "__main__":
    complete()
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    print(json.dumps({"url": url, "variables": own(url)}), flush=True)
    sys.stdin.read()
    server.stop()
