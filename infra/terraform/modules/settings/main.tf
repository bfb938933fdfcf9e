# Every setting that a service reads on AWS, by service. `null` leaves the service's own default; `overrides` changes any of them.
# tests/terraform/test_settings.py compares these names with .env.example, both ways.

locals {
  shared = {
    FRESHET_KAFKA          = var.kafka
    FRESHET_KAFKA_TLS      = tostring(var.kafka_tls)
    FRESHET_KAFKA_AUTH     = var.kafka_auth
    FRESHET_KAFKA_USER     = null # these two are secrets
    FRESHET_KAFKA_PASSWORD = null
    FRESHET_PARTITIONS     = tostring(var.partitions)
    FRESHET_REPLICAS       = tostring(var.replicas)
    FRESHET_REDIS          = var.redis
    FRESHET_REDIS_CLUSTER  = var.redis_cluster
    FRESHET_CA             = null # AWS' own authorities are the system's
    FRESHET_SECRETS        = null # secrets are the task's environment
    FRESHET_TRACES         = null # a collector of yours, by `overrides`; `outward` lets services out to it
    FRESHET_TRACES_SHARE   = null
    FRESHET_S3             = "" # AWS itself
    FRESHET_BUCKET         = var.bucket
    FRESHET_REGION         = var.region
    FRESHET_PROJECT        = var.project
    FRESHET_TASK           = var.task
    FRESHET_CLOCK          = "wall"
    FRESHET_LOG_LEVEL      = "info"
    FRESHET_HOST           = "0.0.0.0" # the task's own address; its security group says who may call
  }

  own = {
    collector = {
      FRESHET_COLLECTOR_PORT            = tostring(var.port)
      FRESHET_COLLECTOR_KEYS            = null # a secret
      FRESHET_COLLECTOR_RATE            = null
      FRESHET_COLLECTOR_BODY_BYTES      = null
      FRESHET_COLLECTOR_BYTES_IN_FLIGHT = null
      FRESHET_COLLECTOR_ACK_SECONDS     = null
      FRESHET_COLLECTOR_DRAIN_SECONDS   = null
    }

    features = {
      FRESHET_FEATURES_PORT       = tostring(var.port)
      FRESHET_FEATURES_INSTANCE   = null # the container's hostname
      FRESHET_FEATURES_USERS      = null
      FRESHET_FEATURES_ITEMS      = null
      FRESHET_FEATURES_FLUSH_S    = null
      FRESHET_FEATURES_PER_MINUTE = null
      FRESHET_FEATURES_ACTS       = null
      FRESHET_FEATURES_HISTORY    = "s3://${var.bucket}/history"
      FRESHET_FEATURES_HISTORY_S  = null
      FRESHET_FEATURES_SESSION_S  = null
    }

    joiner = {
      FRESHET_JOINER_PORT             = tostring(var.port)
      FRESHET_JOINER_INSTANCE         = null # the container's hostname
      FRESHET_JOINER_GROUP            = null
      FRESHET_JOINER_FOLDER           = "/var/lib/freshet/joiner"
      FRESHET_JOINER_WAIT_S           = null
      FRESHET_JOINER_WINDOW_S         = null
      FRESHET_JOINER_SLACK_MS         = null
      FRESHET_JOINER_SKEW_MS          = null
      FRESHET_JOINER_RATE             = null
      FRESHET_JOINER_IMPRESSION_BYTES = null
      FRESHET_JOINER_MEMORY_MB        = tostring(floor(var.memory * 0.7)) # the rest is its buffers', and the metrics'
      FRESHET_JOINER_SESSION_S        = null
    }

    ranking = {
      FRESHET_RANKING_PORT                = tostring(var.port)
      FRESHET_VERIFY_KEY                  = "/run/freshet/verify.pem"
      FRESHET_RANKING_KEYS                = null # a secret
      FRESHET_RANKING_RATE                = null
      FRESHET_RANKING_CONCURRENCY         = null
      FRESHET_RANKING_BODY_BYTES          = null
      FRESHET_RANKING_POLL_SECONDS        = null
      FRESHET_RANKING_STORE_SECONDS       = null
      FRESHET_RANKING_RETRIEVED           = null
      FRESHET_RANKING_EXPLORE             = null
      FRESHET_RANKING_EXPLORE_SHARE       = null
      FRESHET_RANKING_EXPLORE_TEMPERATURE = null
      FRESHET_RANKING_IMPRESSIONS_BUFFER  = null
      FRESHET_RANKING_IMPRESSIONS_BYTES   = null
      FRESHET_RANKING_IMPRESSIONS_WAIT    = null
      FRESHET_RANKING_IMPRESSIONS_SECONDS = null
      FRESHET_RANKING_DRAIN_SECONDS       = null
    }

    updater = {
      FRESHET_UPDATER_PORT    = tostring(var.port)
      FRESHET_SIGNING_KEY     = "/run/freshet/signing.pem"
      FRESHET_WINDOW_S        = null
      FRESHET_WINDOW_ROWS     = null
      FRESHET_PUBLISH_S       = tostring(var.publish_s)
      FRESHET_DENSE_S         = null
      FRESHET_FULL_S          = null
      FRESHET_FULL_DELTAS     = null
      FRESHET_CHECKPOINT_S    = null
      FRESHET_KEEP_FULLS      = null
      FRESHET_RIPE_S          = null
      FRESHET_DRIFT           = null
      FRESHET_ENCODE_S        = null
      FRESHET_TEXTS           = "/var/lib/freshet/texts"
      FRESHET_UPDATER_ENCODER = null
      FRESHET_UPDATER_RUNS    = null # a task's disk goes with it
      FRESHET_UPDATER_MLFLOW  = null
      FRESHET_STOP_S          = null
    }

    jobs = {
      FRESHET_FEATURES_HISTORY = "s3://${var.bucket}/history" # where Feast is to look for it
    }
  }

  known = merge(local.shared, local.own[var.kind])
}
