package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inPod is set in the process that tests inside of a pod's network.
const inPod = "E2E_POD"

// image is what was built, and where its files are.
type image struct {
	Root   string
	Config struct {
		User            string
		Env             []string
		Entrypoint, Cmd []string
	}
}

// The image as an orchestrator runs it: its own file system, read-only, its
// own user, and the loopback interface of a pod, which the application, the
// issuer and this test's clients share.
func TestTheImageInAPod(t *testing.T) {
	if shared := os.Getenv(inPod); shared != "" {
		var img image
		if err := json.Unmarshal([]byte(shared), &img); err != nil {
			t.Fatal(err)
		}
		theSidecar(t, img.start)
		return
	}
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("running an image needs root, for a network namespace and a file system of its own")
	}
	for _, tool := range []string{"buildah", "ip", "unshare", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("running an image needs %s: %v (e2e/setup.sh installs it on Debian)", tool, err)
		}
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets nobody mount: %v %s", err, out)
	}
	pod := fmt.Sprintf("caddyoauth-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", pod).CombinedOutput(); err != nil {
		t.Skipf("this machine lets nobody make network namespaces: %v %s", err, out)
	}
	t.Cleanup(func() { mustRun(t, nil, "ip", "netns", "delete", pod) })
	img := buildImage(t)
	mustRun(t, nil, "ip", "-n", pod, "link", "set", "lo", "up")
	text, err := json.Marshal(img)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", pod, os.Args[0], "-test.run=^TestTheImageInAPod$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), inPod+"="+string(text))
	out, err := cmd.CombinedOutput()
	t.Logf("in the pod:\n%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: TestTheImageInAPod") {
		t.Errorf("in the pod: %v", err)
	}
}

// start runs the image's own command as its own user. The root file system is
// read-only, /data is a volume.
func (img *image) start(t *testing.T, data string, env ...string) *process {
	t.Helper()
	uid := 0
	if _, err := fmt.Sscanf(img.Config.User, "%d:", &uid); err != nil || uid == 0 {
		t.Fatalf("the image's user is %q", img.Config.User)
	}
	if err := os.Chown(data, uid, uid); err != nil {
		t.Fatal(err)
	}
	const container = `root=$1 data=$2 user=$3; shift 3
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" && mount --bind "$data" "$root/data" || exit 99
exec chroot --userspec="$user" "$root" "$@"`
	args := slices.Concat([]string{"-m", "sh", "-c", container, "sh", img.Root, data, img.Config.User}, img.Config.Entrypoint, img.Config.Cmd)
	p := startProcess(t, data, append(slices.Clone(img.Config.Env), env...), "unshare", args...)
	proc := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	await(t, 10e9, "the sidecar itself", func() bool {
		exe, _ := os.Readlink(proc + "/exe")
		return strings.HasSuffix(exe, "/caddy")
	})
	status, _ := os.ReadFile(proc + "/status")
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^Uid:\s+%d\s+%[1]d\s+%[1]d\s+%[1]d$`, uid)).Match(status) {
		t.Errorf("it runs as another user:\n%s", status)
	}
	if err := os.WriteFile(proc+"/root/etc/x", nil, 0o600); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("its root file system can be written: %v", err)
	}
	return p
}

// buildImage builds the image, in "make soak" twice, looks at what is in it and
// mounts it.
func buildImage(t *testing.T) *image {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(dir, "graph"), filepath.Join(dir, "run"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"CONTAINERS_STORAGE_CONF=" + conf, "STORAGE_DRIVER=vfs", "BUILDAH_ISOLATION=chroot", "ENGINE=buildah"}
	digest := regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	first := digest.FindString(mustRun(t, append(env, "IMAGE=one"), "../deploy/image.sh"))
	if first == "" {
		t.Error("the image has no digest")
	}
	if soaking {
		if second := digest.FindString(mustRun(t, append(env, "IMAGE=two"), "../deploy/image.sh")); first != second {
			t.Errorf("two builds, two digests: %s and %s", first, second)
		}
	}
	img := &image{}
	about := struct{ OCIv1 *image }{img}
	if text := mustRun(t, env, "buildah", "inspect", "--type", "image", "one"); json.Unmarshal([]byte(text), &about) != nil {
		t.Fatalf("not as expected: %s", text)
	}
	container := strings.TrimSpace(mustRun(t, env, "buildah", "from", "--pull-never", "one"))
	img.Root = strings.TrimSpace(mustRun(t, env, "buildah", "mount", container))
	t.Cleanup(func() { mustRun(t, env, "buildah", "rm", container) })
	size := int64(0)
	var files []string
	_ = filepath.WalkDir(img.Root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			info, _ := entry.Info()
			size += info.Size()
			rest, _ := filepath.Rel(img.Root, path)
			files = append(files, rest)
		}
		return err
	})
	t.Logf("%s, %d bytes in %q", first, size, files)
	if !slices.Equal(files, []string{"etc/ssl/certs/ca-certificates.crt", "usr/bin/caddy"}) {
		t.Errorf("in the image are %q", files)
	}
	if size == 0 || size >= 35_000_000 {
		t.Errorf("the image has %d bytes, want less than 35 MB", size)
	}
	return img
}

// mustRun runs a program and returns what it wrote to its standard output.
func mustRun(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}
