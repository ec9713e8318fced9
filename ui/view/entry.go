package view

// Entry is a page before the sign-in: product and a form, nothing else.
type Entry struct {
	Title, Product, Hostname, Theme string
	Assets                          Assets
	Error, Hint                     string // of the form as a whole
	Fields                          map[string]string
	Code                            string // setup: the code, once it was right
	Name                            string // sign-in: as typed
	Then                            string // where to go afterwards
	Note                            string // what has just happened
}
