package dockerfile

import "slices"

// variable is one variable and its value.
type variable struct{ key, value string }

// env is a list of variables, the one set last at the end, as BuildKit orders
// them for RUN. It is a value: changing it makes another.
type env []variable

// with returns e with key set to value.
func (e env) with(key, value string) env {
	return append(e.without(key), variable{key, value})
}

// withAll returns e with all of others set, in their order.
func (e env) withAll(others env) env {
	kept := slices.DeleteFunc(slices.Clone(e), func(v variable) bool {
		_, replaced := others.Get(v.key)
		return replaced
	})
	return append(kept, others...)
}

// without returns e without key.
func (e env) without(key string) env {
	other := make(env, 0, len(e)+1)
	for _, v := range e {
		if v.key != key {
			other = append(other, v)
		}
	}
	return other
}

// Get returns the value of key. With Keys it makes env what BuildKit's lexer
// takes values from.
func (e env) Get(key string) (string, bool) {
	i := slices.IndexFunc(e, func(v variable) bool { return v.key == key })
	if i < 0 {
		return "", false
	}
	return e[i].value, true
}

// Keys returns the names of the variables.
func (e env) Keys() []string {
	keys := make([]string, len(e))
	for i, v := range e {
		keys[i] = v.key
	}
	return keys
}

// list returns the variables as a process gets them.
func (e env) list() []string {
	list := make([]string, len(e))
	for i, v := range e {
		list[i] = v.key + "=" + v.value
	}
	return list
}

// put returns e with key set to value, in its place if it is there.
func (e env) put(key, value string) env {
	e = slices.Clone(e)
	for i, v := range e {
		if v.key == key {
			e[i].value = value
			return e
		}
	}
	return append(e, variable{key, value})
}
