package serve

import (
	"io"
	"time"

	"regcred/shared/explain"
	"regcred/shared/plugin"
)

// explain reads the request and says what would be done with it.
func (p *process) explain(cloud *plugin.Cloud, form string) error {
	_, request, err := p.read()
	if err != nil {
		return err
	}
	p.step.set("explaining the request")
	now := time.Now()
	explanation := explain.Request(p.plugin.Name, cloud, request, now)
	if form == "json" {
		return writeJSON(p.stdout, explanation)
	}
	_, err = io.WriteString(p.stdout, explanation.Text(now))
	return err
}
