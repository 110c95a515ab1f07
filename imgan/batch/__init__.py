"""Pictures in, pictures out: the job, the plan, the run, and what is finished."""
