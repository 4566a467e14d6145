/* The CNI plugin's way onto the node. */
#pragma once

/* Copies sluice-cni into the folder; the exit status. A runtime never finds half a program there. */
int install_cni(const char *root, const char *folder);
