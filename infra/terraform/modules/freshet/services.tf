# What each service is, and what it reads and writes: its scaling and its permissions follow from this table.

locals {
  first_task = sort(keys(var.tasks))[0]
  gpu_tasks  = length([for task in var.tasks : task if task.gpu])

  kinds = {
    collector = {
      image   = "collector", port = 18080, shares = false, reads = ["items"], writes = ["behaviour", "items", "dead-letters"]
      paths   = ["/events", "/items"], cpu = 512, memory = 1024, disk_gib = 21
      scaling = { min = 2, max = 20, cpu = 60 }
    }
    features = {
      image   = "features", port = 18082, shares = true, reads = ["behaviour", "behaviour-by-item", "items"], writes = ["behaviour-by-item", "dead-letters"]
      paths   = [], cpu = 1024, memory = 2048, disk_gib = 21
      scaling = { min = 2, max = var.partitions, age_s = 10 }
    }
    joiner = {
      image   = "joiner", port = 18083, shares = true, reads = ["impressions", "behaviour", "clock", "examples.TASK", "windows.TASK"], writes = ["examples.TASK", "clock", "dead-letters"]
      paths   = [], cpu = 1024, memory = 2048, disk_gib = 40
      scaling = { min = 2, max = var.partitions, age_s = 10 }
    }
    ranking = {
      image   = "ranking", port = 18081, shares = false, reads = ["bundles"], writes = ["impressions"]
      paths   = ["/rank", "/recommend", "/explain"], cpu = 1024, memory = 2048, disk_gib = 21
      scaling = { min = 2, max = 100, requests = 6000, p99_s = 0.1 }
    }
    updater = {
      image   = "updater", port = 18084, shares = false, reads = ["examples.TASK", "windows.TASK", "items", "bundles"], writes = ["windows.TASK", "bundles", "items", "dead-letters"]
      paths   = [], cpu = 2048, memory = 8192, disk_gib = 40
      scaling = { min = 1, max = 1 }
    }
    # Run by hand: the command line's `topics` and `features`.
    jobs = {
      image   = "operator", port = 18086, shares = false, reads = [], writes = []
      paths   = [], cpu = 512, memory = 2048, disk_gib = 21
      scaling = { min = 0, max = 0 }
    }
  }

  per_task = ["joiner", "ranking", "updater"]

  # One each of what all tasks share, and one a task of the others.
  named = merge(
    { for kind in keys(local.kinds) : kind => { kind = kind, task = local.first_task } if !contains(local.per_task, kind) },
    { for pair in setproduct(local.per_task, keys(var.tasks)) : "${pair[0]}-${pair[1]}" => { kind = pair[0], task = pair[1] } },
  )

  services = {
    for name, it in local.named : name => {
      kind     = it.kind
      task     = it.task
      image    = local.kinds[it.kind].image
      port     = local.kinds[it.kind].port
      shares   = local.kinds[it.kind].shares
      paths    = local.kinds[it.kind].paths
      hosts    = it.kind == "ranking" ? var.tasks[it.task].hosts : []
      reads    = [for topic in local.kinds[it.kind].reads : replace(topic, "TASK", it.task)]
      writes   = [for topic in local.kinds[it.kind].writes : replace(topic, "TASK", it.task)]
      group    = it.kind == "features" ? "features" : "${it.kind}-${it.task}"
      gpus     = it.kind == "updater" && var.tasks[it.task].gpu ? 1 : 0
      cpu      = try(var.sizes[name].cpu, null) != null ? var.sizes[name].cpu : local.kinds[it.kind].cpu
      memory   = try(var.sizes[name].memory, null) != null ? var.sizes[name].memory : local.kinds[it.kind].memory
      disk_gib = try(var.sizes[name].disk_gib, null) != null ? var.sizes[name].disk_gib : local.kinds[it.kind].disk_gib

      scaling = merge(
        { min = null, max = null, cpu = null, requests = null, p99_s = null, age_s = null, start_age_s = null, start_signal_from = null },
        local.kinds[it.kind].scaling,
        { for key, value in { min = try(var.sizes[name].min, null), max = try(var.sizes[name].max, null) } : key => value if value != null },
        # Scale to zero: only where the task publishes so seldom that nobody misses the updater in between.
        {
          for key, value in { min = 0, start_age_s = var.tasks[it.task].publish_s, start_signal_from = "joiner-${it.task}" } : key => value
          if it.kind == "updater" && var.tasks[it.task].publish_s >= 3600
        },
        # Before the first images, secrets, topics and bundle there are, each service is a task to be run by hand.
        { for key, value in { min = 0, max = 0 } : key => value if !var.running },
      )
    }
  }

  doors = { for name, service in local.services : name => service if length(service.paths) > 0 }
}
