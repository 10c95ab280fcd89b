/** The release of etcd whose behaviour the tools have. */
export const toolVersion = "3.7.1";
export const apiVersion = "3.7";
