package main

import (
	dto "github.com/prometheus/client_model/go"
	"k8s.io/component-base/metrics/legacyregistry"
)

// counters are kubelet's own figures about its plugins, by plugin name.
type counters struct {
	errors map[string]int
	runs   map[string]int
}

func readCounters() (counters, error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return counters{}, err
	}
	read := counters{errors: map[string]int{}, runs: map[string]int{}}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetName() {
			case "kubelet_credential_provider_plugin_errors_total":
				read.errors[pluginName(metric)] = int(metric.GetCounter().GetValue())
			case "kubelet_credential_provider_plugin_duration":
				read.runs[pluginName(metric)] = int(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return read, nil
}

func pluginName(metric *dto.Metric) string {
	for _, label := range metric.GetLabel() {
		if label.GetName() == "plugin_name" {
			return label.GetValue()
		}
	}
	return ""
}
