"""The adapters on AWS: S3, DynamoDB and KMS behind the ports. Only they and the handlers know boto3."""
