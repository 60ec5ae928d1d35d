"""The node's content, found locally first, pulled second: `runtime` has the runtime image, `images` those of pods,
`registries` what ``registries.yaml`` says."""
