package secret

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// line splits a case into arguments: at "|" if there is one, else at spaces.
func line(text string) []string {
	if strings.Contains(text, "|") {
		return strings.Split(text, "|")
	}
	return strings.Fields(text)
}

func TestCut(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		// names of options and variables
		{"app --password hunter2 --port 80", "app --password *** --port 80"},
		{"app --db-password=hunter2 -v", "app --db-password=*** -v"},
		{"app|--password|two words|x", "app|--password|***|x"},
		{"app -token s3cr3tvalue", "app -token ***"},
		{"java -Dspring.datasource.password=hunter2 -Xmx1g -jar a.jar", "java -Dspring.datasource.password=*** -Xmx1g -jar a.jar"},
		{"java -javaagent:x.jar=token=abcdef,host=h -jar a.jar", "java -javaagent:x.jar=token=*** -jar a.jar"},
		{"keytool -storepass changeit -keypass changeit2 -list", "keytool -storepass *** -keypass *** -list"},
		{"env PGPASSWORD=hunter2 PGHOST=db psql", "env PGPASSWORD=*** PGHOST=db psql"},
		{"docker run -e MYSQL_ROOT_PASSWORD=hunter2 -p 3306:3306 mysql:8", "docker run -e MYSQL_ROOT_PASSWORD=*** -p 3306:3306 mysql:8"},
		{"docker run --env=DB_PASSWORD=hunter2 app", "docker run --env=DB_PASSWORD=*** app"},
		{"kubectl create secret generic db --from-literal=password=hunter2", "kubectl create secret generic db --from-literal=password=***"},
		{"helm install x y --set replicas=2,db.password=hunter2,debug=true", "helm install x y --set replicas=2,db.password=***,debug=true"},
		{"vault write auth/approle/login secret_id=aaaa-bbbb", "vault write auth/approle/login secret_id=***"},
		{"consul agent -encrypt x --acl-token=aaaa-bbbb", "consul agent -encrypt x --acl-token=***"},
		{"redis-server --requirepass hunter2 --masterauth hunter3", "redis-server --requirepass *** --masterauth ***"},
		{"minio --secret-key wJalrXUtnFEMI/K7MDENG --access-key=minioadmin", "minio --secret-key *** --access-key=***"},
		{"aws configure set aws_secret_access_key=wJalrXUtnFEMI/K7", "aws configure set aws_secret_access_key=***"},
		{"app --clientSecret abcdef --privateKey=MIIEv --credentials=abc", "app --clientSecret *** --privateKey=*** --credentials=***"},
		{"node --token abcdef server.js", "node --token *** server.js"},
		{"openssl rsa -in k.pem -passin pass:hunter2", "openssl rsa -in k.pem -passin pass:***"},
		{"plink -pw hunter2 host", "plink -pw *** host"},
		{"gpg --batch --passphrase hunter2 -d f", "gpg --batch --passphrase *** -d f"},
		{"wget --http-password=hunter2 http://h/", "wget --http-password=*** http://h/"},
		{"http --auth joe:hunter2 h", "http --auth *** h"},
		{"tailscale up --authkey tskey-auth-k123", "tailscale up --authkey ***"},
		{"rails SECRET_KEY_BASE=abcdef0123", "rails SECRET_KEY_BASE=***"},
		// options of one letter
		{"mysql -uroot -phunter2 shop", "mysql -uroot -p*** shop"},
		{"mysqldump -h db -phunter2 --all-databases", "mysqldump -h db -p*** --all-databases"},
		{"/usr/bin/mariadb -p'x -e q", "/usr/bin/mariadb -p*** -e q"},
		{"sudo -u postgres mysql -phunter2", "sudo -u postgres mysql -p***"},
		{"docker exec -it db mysql -uroot -phunter2", "docker exec -it db mysql -uroot -p***"},
		{"kubectl exec pod -- mysqladmin -phunter2 status", "kubectl exec pod -- mysqladmin -p*** status"},
		{"sshpass -p hunter2 ssh -p 22 joe@h", "sshpass -p *** ssh -p 22 joe@h"},
		{"redis-cli -h h -a hunter2 ping", "redis-cli -h h -a *** ping"},
		{"curl -u joe:hunter2 https://h/", "curl -u joe:*** https://h/"},
		{"curl -sku joe:hunter2 https://h/", "curl -sku joe:*** https://h/"},
		{"docker login -u joe -p hunter2 registry", "docker login -u joe -p *** registry"},
		{"ldapsearch -x -D cn=a -w hunter2", "ldapsearch -x -D cn=a -w ***"},
		// headers
		{"curl|-H|Authorization: Bearer abc.def", "curl|-H|Authorization: Bearer ***"},
		{"curl|-H|Authorization: Basic am9lOmh1bnRlcjI=", "curl|-H|Authorization: Basic ***"},
		{"curl|-H|X-Api-Key: abc def|h", "curl|-H|X-Api-Key: ***|h"},
		{"curl|--header|PRIVATE-TOKEN: abcdef", "curl|--header|PRIVATE-TOKEN: ***"},
		{"git|-c|http.extraHeader=Authorization: basic am9lOmh1bnRlcjI=|fetch", "git|-c|http.extraHeader=Authorization: basic ***|fetch"},
		// URLs
		{"psql postgres://joe:hunter2@db:5432/shop?sslmode=off", "psql postgres://joe:***@db:5432/shop?sslmode=off"},
		{"app --redis=redis://:hunter2@h:6379/0", "app --redis=redis://:***@h:6379/0"},
		{"app amqp://joe:p@ss@h/", "app amqp://joe:***@h/"},
		{"app https://h/a?user=joe&access_token=abc&x=1", "app https://h/a?user=joe&access_token=***&x=1"},
		{"app jdbc:mysql://h/d?user=joe&password=hunter2&ssl=1", "app jdbc:mysql://h/d?user=joe&password=***&ssl=1"},
		{"app joe:hunter2@tcp(db:3306)/shop", "app joe:***@tcp(db:3306)/shop"},
		{"app Server=h;Password=hunter2;Encrypt=1", "app Server=h;Password=***;Encrypt=1"},
		{"app postgres://joe:hunt", "app postgres://joe:***"}, // cut off by the kernel's bound
		// forms
		{"app eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "app ***"},
		{"app AKIAIOSFODNN7EXAMPLE x", "app *** x"},
		{"git clone https://ghp_0123456789abcdefghij@github.com/a/b", "git clone https://***@github.com/a/b"},
		{"app|-----BEGIN RSA PRIVATE KEY-----\nMIIE", "app|-----BEGIN RSA PRIVATE KEY-----***"},
		// text in text
		{"sh|-c|PGPASSWORD=hunter2 psql -h db", "sh|-c|PGPASSWORD=*** psql -h db"},
		{"sh|-c|PGPASSWORD='two words' psql -h db", "sh|-c|PGPASSWORD=*** psql -h db"},
		{"bash|-lc|cd /srv && mysql -phunter2 shop < a.sql", "bash|-lc|cd /srv && mysql -p*** shop < a.sql"},
		{`bash|-c|curl -H "Authorization: Bearer abc.def" https://h/`, `bash|-c|curl -H "Authorization: Bearer ***" https://h/`},
		{`sh|-c|curl -H Authorization: Bearer abcdef h`, `sh|-c|curl -H Authorization: Bearer *** h`},
		{`sh|-c|app --token "a b" --port 80`, `sh|-c|app --token "***" --port 80`},
		{`ssh|h|mysql -phunter2`, `ssh|h|mysql -p***`},
		{`curl|-d|{"user": "joe", "password": "hun\"ter2", "x": 1}`, `curl|-d|{"user": "joe", "password": "***", "x": 1}`},
		{`psql|host=h password=hunter2 dbname=d`, `psql|host=h password=*** dbname=d`},
		{`psql|-c|ALTER USER joe WITH PASSWORD 'hunter2'`, `psql|-c|ALTER USER joe WITH PASSWORD '***'`},
		{`mysql|-e|CREATE USER joe IDENTIFIED BY 'hunter2'`, `mysql|-e|CREATE USER joe IDENTIFIED BY '***'`},
		{`sh|-c|sh -c 'mysql -phunter2 x'`, `sh|-c|sh -c 'mysql -p*** x'`},
	} {
		args, want := line(test.args), line(test.want)
		before := slices.Clone(args)
		got := Cut(args)
		if !slices.Equal(got, want) {
			t.Errorf("%q\n got %q\nwant %q", args, got, want)
		}
		if !slices.Equal(args, before) {
			t.Errorf("%q was changed", before)
		}
		if again := Cut(got); !slices.Equal(again, got) {
			t.Errorf("%q cut again is %q", got, again)
		}
	}
}

// TestHarmless: lines without a secret stay as they are, and cost no memory
// where nothing has to be taken apart.
func TestHarmless(t *testing.T) {
	for _, text := range []string{
		"/sbin/init", "/usr/lib/systemd/systemd --user", "nginx: master process /usr/sbin/nginx -g daemon off;",
		"|", "", "ls|-la|", "cat /etc/passwd", "passwd root", "getent passwd joe",
		"/usr/bin/Xorg :0 -auth /run/user/1000/gdm/Xauthority", "env PWD=/root OLDPWD=/tmp XAUTHORITY=/x SSH_AUTH_SOCK=/y GIT_ASKPASS=/z sh",
		"kube-apiserver --authorization-mode=Node,RBAC --token-auth-file=/x --authentication-token-webhook=true --tls-private-key-file=/k",
		"vllm serve --max-tokens 4096 --tokenizer mistral --max-num-batched-tokens=8192",
		"ffmpeg -pass 1 -i a.mkv b.mp4", "docker run --name mysql -p3306:3306 -d mysql:8", "docker run -p 8080:80 nginx", "ssh -p 22 joe@host",
		"mysql -p shop", "mysql --password shop", "mysqld --port=3306 --user=mysql", "psql --no-password shop", "psql --password shop", "mkdir -p /srv/a",
		"redis-server 0.0.0.0:6379", "curl -u joe https://h/", "curl http://localhost:8080/health", "app http://[::1]:8080", "nats nats://a:4222,b:4222",
		"git clone ssh://git@github.com/a/b", "git clone git@github.com:a/b", "etcd --advertise-client-urls=http://a:2379,http://b:2379",
		"java -Xmx1g -XX:+UseG1GC -Dfile.encoding=UTF-8 -Dsecret.name=db -jar a.jar", "app --password-file=/run/secrets/db --secret-name db",
		"docker login --password-stdin registry", "app --enable-auth --auth=true --no-token x", "python -m http.server --bind 0.0.0.0",
		"sh|-c|curl http://localhost:$PORT/health | grep -q ok && echo \"it's up\"", "sh|-c|echo don't stop; basic research; the bearer of news",
		"grep|-r|password|/etc", "tcpdump|-i|any|port 80 and host a", "awk|-F:|{print $1}|/etc/passwd", "node server.js --port=80 --compass=north",
		"kubelet --config=/var/lib/kubelet/config.yaml --image-credential-provider-config=/x", "app image:secret-token:latest", "keyboard --key=value",
		"postgres: walwriter", "sshd: joe@pts/0", "sleep 10",
	} {
		args := line(text)
		if got := Cut(args); !slices.Equal(got, args) {
			t.Errorf("%q became %q", args, got)
		}
	}
}

// TestLongLines: the longest line that is kept takes no longer for being made
// to.
func TestLongLines(t *testing.T) {
	for _, piece := range []string{"\"", "'a ", "=", "password=", "://a:b@", "\"password\":", "eyJ", " bearer ", "sh -c \"", "\\", "a;", "Basic a"} {
		args := []string{"sh", "-c", strings.Repeat(piece, 4096/len(piece))}
		const most = 200 * time.Millisecond
		took := time.Hour
		for try := 0; try < 10 && took > most; try++ { // a computer may stop at any of them
			began := time.Now()
			Cut(args)
			took = time.Since(began)
		}
		if took > most {
			t.Errorf("%q, again and again, takes %v", piece, took)
		}
	}
}

// places are command lines in which a secret stands where it can be known.
var places = []struct{ args, not string }{
	{"app|--password|@@", ""}, {"app|--db-password=@@|--port=80", ""}, {"env|PGPASSWORD=@@|psql", ""}, {"java|-Dapi.key=@@", ""},
	{"mysql|-p@@", ""}, {"sshpass|-p|@@|ssh", ""}, {"curl|-u|joe:@@|h", ""}, {"curl|-H|Authorization: Bearer @@", ""},
	{"curl|-H|X-Api-Key: @@", ""},
	{"psql|postgres://joe:@@@h/d", "/?#\"' \t\r\n"},
	{"app|https://h/?token=@@&a=b", "&#\"' \t\r\n"},
	{`curl|-d|{"password": "@@"}`, "\"\\"},
	{"sh|-c|PGPASSWORD='@@' psql -h db", "'\\"},
	{"sh|-c|app --token '@@' --port 80", "'\\"},
	{"app|host=h password=@@ dbname=d", "\"'\\ \t\r\n"},
}

// FuzzCut: a secret in a marked place is never in the result, whatever it is.
func FuzzCut(f *testing.F) {
	for i := range places {
		f.Add(uint(i), "hunter2!")
		f.Add(uint(i), "a=b:c@d$(e)|f;g&h")
		f.Add(uint(i), "-- ' \" \\ {}")
	}
	f.Fuzz(func(t *testing.T, place uint, secret string) {
		Cut(strings.Split(secret, "\x00")) // anything at all is taken
		p := places[place%uint(len(places))]
		switch {
		case len(secret) < 4 || strings.Contains(p.args, secret) || strings.ContainsAny(secret, p.not) || strings.ContainsRune(secret, '*'):
			return
		case harmless("password", secret) || flagLike(secret) || portMapping(secret) || schemes(secret):
			return // which no program could tell from something else
		case strings.TrimLeft(secret, spaces) != secret: // a header's value begins later
			return
		}
		args := strings.Split(p.args, "|")
		for i := range args {
			args[i] = strings.Replace(args[i], "@@", secret, 1)
		}
		got := Cut(args)
		if len(got) != len(args) {
			t.Fatalf("%q has another number of arguments: %q", args, got)
		}
		if all := strings.Join(got, "\n"); strings.Contains(all, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	for _, text := range []string{"/usr/sbin/nginx -g daemon off;", "java -Xmx1g -XX:+UseG1GC -Dfile.encoding=UTF-8 -cp /srv/a.jar:/srv/b.jar com.example.Main --port=8080",
		"sh|-c|cd /srv && PGPASSWORD=hunter2 psql -h db -c 'select 1'"} {
		args := line(text)
		b.Run(args[0], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Line(args)
			}
		})
	}
}
