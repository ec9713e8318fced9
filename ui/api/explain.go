package api

import (
	"net/http"

	"evenkeel/appliance"
)

// RulesTrial is a request that rules are tried with.
type RulesTrial struct {
	Rules   []appliance.Rule   `json:"rules,omitempty"` // absent: the saved ones
	Request appliance.Question `json:"request"`
}

func (a *API) explainRoutes() []route {
	var query []parameter
	for _, name := range appliance.QuestionFields() {
		f, _ := appliance.FieldOf("question", name)
		query = append(query, parameter{name, "string", f.Help})
	}
	q, x := appliance.Question{}, appliance.Explanation{}
	return []route{
		{
			Method: "GET", Path: "/explain", Role: appliance.Viewer, Summary: "What would become of a client of the running services, and why. Nothing is sent, counted or remembered.",
			Query: query, Gives: x, Status: 200, do: explain,
		},
		{
			Method: "POST", Path: "/explain", Role: appliance.Viewer, Summary: "The same, with the question as a body: for cookies and headers that should stand in no address.",
			Takes: q, Gives: x, Status: 200, do: explainBody,
		},
		{
			Method: "POST", Path: "/virtual-services/{id}/rules/try", Role: appliance.Viewer, Summary: "What rules, saved or not, make of a request, and what the server and the client would get. Nothing is saved, sent or counted.",
			Takes: RulesTrial{}, Gives: x, Status: 200, do: tryRules,
		},
	}
}

func explain(c *call) error {
	q, errs := appliance.ReadQuestion(c.query.Get)
	if len(errs) > 0 {
		return errs
	}
	return c.explain(q)
}

func explainBody(c *call) error {
	var q appliance.Question
	if err := c.decode(&q); err != nil {
		return err
	}
	return c.explain(q)
}

func (c *call) explain(q appliance.Question) error {
	x, err := c.api.Engine.Explain(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, x)
}

// tryRules validates the rules as if they were saved.
func tryRules(c *call) error {
	s, err := c.savedService()
	if err != nil {
		return err
	}
	var trial RulesTrial
	if err := c.decode(&trial); err != nil {
		return err
	}
	saved := s.Rules
	if trial.Rules != nil {
		s.Rules = trial.Rules
	}
	if err := adopt(&s, s.RealServers, saved); err != nil {
		return err
	}
	made, err := c.api.Control.Try(c.Request().Context(), nil, func(cfg *appliance.Config) error {
		to := cfg.Cluster.Service(s.ID)
		if to == nil {
			return notFound("virtual service", s.ID)
		}
		*to = s.Clone()
		return nil
	})
	if err != nil {
		return relative(err, func() []string { return []string{servicePrefix(s.Label)} })
	}
	x, err := c.api.Engine.TryRules(made.Config.Cluster.Service(s.ID).Clone(), made.Config.Cluster.NameOf, trial.Request)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, x)
}
