package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// cluster is etcd, an API server and its controllers, as processes that end with us. There is no kubelet and no scheduler.
type cluster struct {
	dir        string
	kubeconfig string
	config     *rest.Config
	children   []*exec.Cmd
}

// token lets the check in as an administrator. The server listens on loopback, for as long as the check runs.
const token = "check"

func start(ctx context.Context, components string) (_ *cluster, err error) {
	dir, err := os.MkdirTemp("", "drover-apiserver-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig")}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	etcd, peers, api, manager := freePort(), freePort(), freePort(), freePort()
	key := filepath.Join(dir, "accounts.key")
	tokens := filepath.Join(dir, "tokens")
	if err := writeKey(key); err != nil {
		return nil, err
	}
	if err := os.WriteFile(tokens, []byte(token+",check,check,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	etcdURL, peerURL := "http://127.0.0.1:"+etcd, "http://127.0.0.1:"+peers
	if err := c.run("etcd", "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL, "--initial-cluster", "default="+peerURL); err != nil {
		return nil, err
	}
	if err := c.run("kube-apiserver", components, "kube-apiserver", "--etcd-servers", etcdURL, "--secure-port", api, "--bind-address", "127.0.0.1",
		"--cert-dir", filepath.Join(dir, "certs"), "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://check", "--service-account-key-file", key, "--service-account-signing-key-file", key); err != nil {
		return nil, err
	}
	c.config = &rest.Config{Host: "https://127.0.0.1:" + api, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: 200, Burst: 400}
	if err := c.writeKubeconfig(); err != nil {
		return nil, err
	}
	if err := c.run("kube-controller-manager", components, "kube-controller-manager", "--kubeconfig", c.kubeconfig, "--leader-elect=false", "--secure-port", manager,
		"--bind-address", "127.0.0.1", "--cert-dir", filepath.Join(dir, "certs-manager"), "--service-account-private-key-file", key); err != nil {
		return nil, err
	}
	return c, nil
}

// run starts a program with its output in a file. It dies with us, however we end.
func (c *cluster) run(name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.children = append(c.children, cmd)
	return nil
}

// stop ends everything, the last one first.
func (c *cluster) stop() {
	for i := len(c.children) - 1; i >= 0; i-- {
		_ = c.children[i].Process.Kill() // what it keeps is thrown away
		_ = c.children[i].Wait()
	}
	_ = os.RemoveAll(c.dir)
}

// logs are the last lines of each program.
func (c *cluster) logs() string {
	var all string
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		text, _ := os.ReadFile(filepath.Join(c.dir, name+".log"))
		all += fmt.Sprintf("--- %s\n%s\n", name, text[max(0, len(text)-2000):])
	}
	return all
}

func (c *cluster) writeKubeconfig() error {
	k := clientcmdapi.NewConfig()
	k.Clusters["check"] = &clientcmdapi.Cluster{Server: c.config.Host, InsecureSkipTLSVerify: true}
	k.AuthInfos["check"] = &clientcmdapi.AuthInfo{Token: token}
	k.Contexts["check"] = &clientcmdapi.Context{Cluster: "check", AuthInfo: "check", Namespace: namespace}
	k.CurrentContext = "check"
	return clientcmd.WriteToFile(*k, c.kubeconfig)
}

func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// until waits for what is true soon, and says what it waited for when it was not.
func until(ctx context.Context, what string, f func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var last error
	for {
		ok, err := f()
		if ok {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for 2 minutes: %s: %w", what, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
