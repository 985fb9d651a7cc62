#!/usr/bin/env bash
# Spring Authorization Server (Spring Security 7.1.2, Spring Boot 4.1.2): the ID token
# of one browser names the session of another one, and log-out with it is 400.
#
# `sid` in an ID token is the session in which the user typed the password last, and
# not the one that the authorization request came with. Browser A logs in; browser B
# logs in as the same user; A, still logged in, is sent to authorize again and gets a
# new ID token: its sid is B's. /connect/logout compares it with the session of A and
# answers 400 (invalid_token, sid), for good; A stays logged in at the server. With the
# first ID token of A the same request logs out.
#
# Output seen:
#   the first ID token of A names the session of A: True
#   the second ID token of A names the session of B: True
#   log-out of A with the second: 400
#   A is still logged in: True
#   log-out of A with the first: 302
#
# Needs Java 17 or newer, Maven and Python 3.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
mkdir -p "$dir/src/main/java/issuer" "$dir/src/main/resources"
cat >"$dir/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>4.1.2</version>
    <relativePath/>
  </parent>
  <groupId>issuer</groupId>
  <artifactId>spring</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-security-oauth2-authorization-server</artifactId>
    </dependency>
  </dependencies>
  <build>
    <finalName>issuer</finalName>
    <plugins>
      <plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
      </plugin>
    </plugins>
  </build>
</project>
XML
cat >"$dir/src/main/java/issuer/Main.java" <<'JAVA'
package issuer;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

@SpringBootApplication
public class Main {
	public static void main(String[] args) {
		SpringApplication.run(Main.class, args);
	}
}
JAVA
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$dir/src/main/resources/application.yml" <<YAML
server: {address: 127.0.0.1, port: $port}
spring:
  security:
    user: {name: alice, password: "{noop}wonder"}
    oauth2:
      authorizationserver:
        client:
          app:
            registration:
              client-id: app
              client-secret: "{noop}secret"
              client-authentication-methods: client_secret_basic
              authorization-grant-types: authorization_code
              redirect-uris: http://127.0.0.1:9/callback
              post-logout-redirect-uris: http://127.0.0.1:9/bye
              scopes: openid
logging: {level: {root: warn}}
YAML
mvn -B -q -f "$dir/pom.xml" -DskipTests package
java -jar "$dir/target/issuer.jar" >"$dir/log" 2>&1 &
server=$!
cat >"$dir/browsers.py" <<'PY'
import base64, hashlib, http.cookiejar, json, re, sys, time, urllib.error, urllib.parse, urllib.request

here = "http://127.0.0.1:" + sys.argv[1]
for _ in range(240):
    try:
        urllib.request.urlopen(here + "/oauth2/jwks")
        break
    except OSError:
        time.sleep(0.25)


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    def __init__(self):
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), Stay())
        self.opener.addheaders = [("Accept", "text/html")]

    def ask(self, url, form=None):
        data = form and urllib.parse.urlencode(form).encode()
        try:
            answer = self.opener.open(urllib.parse.urljoin(here, url), data)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers.get("Location"), answer.read().decode()

    def authorize(self):
        """The ID token of a new authorization request."""
        query = {"response_type": "code", "client_id": "app", "scope": "openid", "redirect_uri": "http://127.0.0.1:9/callback"}
        verifier = "v" * 43
        digest = hashlib.sha256(verifier.encode()).digest()
        query |= {"code_challenge_method": "S256", "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
        status, to, page = self.ask("/oauth2/authorize?" + urllib.parse.urlencode(query))
        if "/login" in to:
            page = self.ask(to)[2]
            csrf = re.search(r'name="_csrf"[^>]*value="([^"]+)"', page).group(1)
            to = self.ask("/login", {"username": "alice", "password": "wonder", "_csrf": csrf})[1]
            to = self.ask(to)[1]
        code = urllib.parse.parse_qs(urllib.parse.urlparse(to).query)["code"][0]
        request = urllib.request.Request(here + "/oauth2/token", urllib.parse.urlencode({
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
            "redirect_uri": "http://127.0.0.1:9/callback"}).encode())
        request.add_header("Authorization", "Basic " + base64.b64encode(b"app:secret").decode())
        return json.load(urllib.request.urlopen(request))["id_token"]

    def log_out(self, id_token):
        return self.ask("/connect/logout?" + urllib.parse.urlencode({
            "id_token_hint": id_token, "client_id": "app", "post_logout_redirect_uri": "http://127.0.0.1:9/bye"}))[0]

    def logged_in(self):
        return "/login" not in (self.ask("/")[1] or "")


def sid(id_token):
    part = id_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sid"]


a, b = Browser(), Browser()
first = a.authorize()
of_b = b.authorize()
second = a.authorize()
print("the first ID token of A names the session of A:", sid(first) != sid(of_b))
print("the second ID token of A names the session of B:", sid(second) == sid(of_b))
print("log-out of A with the second:", a.log_out(second))
print("A is still logged in:", a.logged_in())
print("log-out of A with the first:", a.log_out(first))
PY
python3 "$dir/browsers.py" "$port" >"$dir/seen" || { cat "$dir/seen"; tail -n 20 "$dir/log"; exit 1; }
cat "$dir/seen"
diff - "$dir/seen" <<'SEEN' || { echo "changed: this is not what was seen before"; exit 1; }
the first ID token of A names the session of A: True
the second ID token of A names the session of B: True
log-out of A with the second: 400
A is still logged in: True
log-out of A with the first: 302
SEEN
echo "as before"
