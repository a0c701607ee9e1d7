// Package solve executes a plan. It walks the stages that are needed, those
// that do not depend on each other side by side, and turns each step into a
// layer: found in the cache, copied, or run. Layers are compressed (and, where
// somebody listens, pushed) while later steps run.
//
// Solve decides nothing that the plan has decided; it only finds out which
// stages a cache hit makes unnecessary.
package solve
