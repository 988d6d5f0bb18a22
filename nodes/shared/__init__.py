"""What every node is made of: base class, sockets, inputs, layouts of tensors, views."""
