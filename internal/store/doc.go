// Package store is kiln's folder on disk: blobs by digest, unpacked layers and
// indexes by diff ID, records by key. Everything in it appears by rename, so
// that a build killed at any moment leaves nothing that a later one trusts
// wrongly; several builds share one folder.
package store
