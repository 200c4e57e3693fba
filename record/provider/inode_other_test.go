//go:build !linux

package provider

func sysWithInode(uint64) any { return nil }
