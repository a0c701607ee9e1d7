// Package registry pulls and pushes images.
//
// A pull is lazy: [Client.Resolve] reads manifests and configs only, and its
// layers are downloaded when somebody opens them, each at most once, into the
// store. A push is eager: a [Pusher] uploads each layer as soon as it is
// written, while the build goes on.
//
// Every byte that comes in is checked against the digest it was asked for by. A
// transfer that breaks is resumed or repeated, with waits that grow; what a
// registry refuses is an [*Error] that says who refused what to whom.
package registry
