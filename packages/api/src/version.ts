// Versions that peers and clients see.

/** The etcd whose protocol and behaviour this is. */
export const etcdVersion = "3.7.1";

/** Its part that clusters agree on. */
export const etcdClusterVersion = "3.7.0";

/** The oldest cluster that a member of this version can be in. */
export const minClusterVersion = "3.0.0";

/** Version of this implementation. */
export const etcdTsVersion = "0.1.0";
