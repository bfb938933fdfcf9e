"""The same question answered the plain way: what Freshet's fast path is measured against."""
