"""Estimated laws against declared ones, and what stands in the verdict."""
