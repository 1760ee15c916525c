package node_test

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"regcred/e2e/node/part"
)

// newPod is a pod with a container for each image. There is no network and no
// scheduler: it uses the machine's and names its node.
func newPod(namespace, name string, images ...string) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			NodeName:                      part.NodeName,
			HostNetwork:                   true,
			AutomountServiceAccountToken:  new(bool),
			EnableServiceLinks:            new(bool),
			TerminationGracePeriodSeconds: new(int64(1)),
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}
	for i, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: image})
	}
	return pod
}

// whyNotRunning is empty for a pod whose containers all run.
func whyNotRunning(pod *corev1.Pod) string {
	if pod == nil {
		return "there is no such pod"
	}
	if len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers) {
		return fmt.Sprintf("%s has no containers yet (%s %s)", pod.Name, pod.Status.Phase, pod.Status.Message)
	}
	for _, container := range pod.Status.ContainerStatuses {
		switch state := container.State; {
		case state.Running != nil:
		case state.Waiting != nil:
			return fmt.Sprintf("%s waits: %s: %s", container.Image, state.Waiting.Reason, state.Waiting.Message)
		default:
			return fmt.Sprintf("%s ended: %v", container.Image, state.Terminated)
		}
	}
	return ""
}

// pullFailure is what is said of the image that a pod waits for in vain; empty
// when there is none.
func pullFailure(pod *corev1.Pod) string {
	for _, container := range pod.Status.ContainerStatuses {
		waiting := container.State.Waiting
		if waiting != nil && slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"}, waiting.Reason) {
			return waiting.Message
		}
	}
	return ""
}

// eventually waits until nothing stands in the way of something. When a part
// of the node has ended, nothing will change.
func (n *node) eventually(what string, obstacle func() string) {
	n.t.Helper()
	const patience = 90 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		in := obstacle()
		if in == "" {
			return
		}
		for _, started := range append(slices.Clone(n.parts), n.kubelet) {
			if err := started.Ended(); err != nil {
				n.t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("not within %s: %s: %s", patience, what, in)
		}
	}
}
