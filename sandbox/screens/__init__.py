"""Pictures of what a release tells people, drawn as GitHub would."""
