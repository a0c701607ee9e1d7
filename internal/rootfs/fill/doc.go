// Package fill puts layers into directories on behalf of the storages.
package fill
