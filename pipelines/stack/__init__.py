"""The embedded stack: Airflow in five processes and MLflow in one, started and kept by one."""
