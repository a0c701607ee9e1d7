// Package scan reads what a directory on disk shows as entries of a layer: the
// part that finding out what changed has in common over all storages.
//
// Nothing may change the directories meanwhile, and the caller has seen that
// every part of a path but the last is a directory: no symbolic link is
// followed then.
package scan
