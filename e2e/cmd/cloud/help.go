package main

import "regcred/e2e/cmd/internal/scene"

// help is what the shell begins with.
const help = `This is node1, an instance of a fake AWS at the production names and addresses.
Nothing outside of it can be reached.

  169.254.169.254                        instance metadata, version 2
  sts.REGION.amazonaws.com               and its other names, in regions of every partition
  api.ecr.REGION.amazonaws.com           "
  api.ecr-public.us-east-1.amazonaws.com

Requests as kubelet makes them are in ` + requests + `:

  ecr-credential-provider < ` + requests + `/node.json         an image of ` + scene.Registry + `
  ecr-credential-provider < ` + requests + `/public.json       an image of public.ecr.aws
  ecr-credential-provider < ` + requests + `/pod.json          in the name of a pod
  ecr-credential-provider < ` + requests + `/look-alike.json   an image of ` + scene.LookAlike + `

  curl http://` + journal + `/   what the cloud was asked so far; printed at exit, too
  ls /run/regcred                 what the plugin remembers; remove it for a cold start

`
