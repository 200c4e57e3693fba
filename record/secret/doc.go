// Package secret cuts secrets out of command lines before they are stored.
//
// [Cut] takes the arguments of a process and gives them back with the value of
// every secret replaced by [Mark]. A secret is known by what stands before it,
// never by how random it looks:
//
//  1. the name of an option or an assignment: --db-password X, TOKEN=X, -Dapi.key=X;
//  2. the program that an option of one letter is given to: mysql -pX, curl -u user:X;
//  3. a header: Authorization: Bearer X, X-Api-Key: X;
//  4. a place in a URL: scheme://user:X@host, ?token=X;
//  5. a form that only secrets have: JSON Web Tokens, AKIA…, ghp_…, private keys in PEM.
//
// Arguments with spaces are read as a shell would (sh -c "PGPASSWORD=X psql")
// and each word in them likewise. In doubt more is cut. A secret that nothing
// announces stays: a bare argument, as in "htpasswd -b file user X".
//
// The package knows no files and no processes; it keeps nothing.
package secret
