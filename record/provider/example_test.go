package provider_test

import (
	"fmt"

	"kmon/record/provider"
)

func ExampleParseConfig() {
	config, err := provider.ParseConfig("kmon.yaml", []byte(`
targets:                      # without any, everything is recorded
  services: [cart, checkout]
  cgroups: [/system.slice/nginx.service]
  pids: [4711]
  ports: [443]
rules:                        # the first that matches names the service
  - service: checkout
    match: {exe: "/srv/*", cmdline: "--role[= ]checkout"}
  - service: front
    match: {port: 80}         # a process that listens there
  - service: cart
    match: {unit: "cart@*.service"}
collectors: [tcp, proc]       # without any, all
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(config.Targets.Services, len(config.Rules), config.Collectors)

	_, err = provider.ParseConfig("kmon.yaml", []byte("targets:\n  sevices: [cart]\n"))
	fmt.Println(err)
	// Output:
	// [cart checkout] 3 [tcp proc]
	// kmon.yaml:2: unknown key "sevices", did you mean "services"?
}
