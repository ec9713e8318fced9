// Package bench measures the engine beside HAProxy: CPU time of the proxy per request, per connection and per byte, and memory per idle connection. Both are
// processes of their own on one core with one thread that forwards; generator and server are one process on another core. It runs as root in a network
// namespace of its own with the congestion control reno, because BBR distorts loopback. The contenders take turns, and medians are reported.
package bench
